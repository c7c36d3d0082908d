"""X.509 certificates as plain values, and the one answer to whether one may sign.

asn1crypto reads them, since cryptography refuses some older cards' certificates, whose names have several values in one
part, in another order than DER's. Extensions are kept as they are, and only those that are wanted are decoded: an odd
one that nobody asks for must not make a card useless.

Importing this module imports no library; asn1crypto comes with the first certificate.

Source: RFC 5280, sections 4.1 and 4.2; RFC 4514.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from cardd.errors import (
    AlgorithmUnsupported,
    CardGarbled,
    LoginCertificateExpired,
    LoginCertificateNotYetValid,
    SigningCertificateExpired,
    SigningCertificateNotYetValid,
    SigningCertificateUsage,
)
from cardd.formats.document import reading
from cardd.formats.prepared import Signer
from cardd.model import Algorithm
from cardd.tlv import Tlv, parse, parse_one
from cardd.values import Value

if TYPE_CHECKING:
    from asn1crypto import x509

SIZE_MAX = 16 * 1024
EXTENSIONS_MAX = 64
SERIAL_MAX = 20  # bytes; RFC 5280, section 4.1.2.2
COMMON_NAME, SURNAME, GIVEN_NAME, TITLE = "2.5.4.3", "2.5.4.4", "2.5.4.42", "2.5.4.12"
ORGANISATION, UNIT = "2.5.4.10", "2.5.4.11"
KEY_USAGE = "2.5.29.15"
BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER = 0x03, 0x04, 0x06
KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)

KEYWORDS = {
    COMMON_NAME: "CN", "2.5.4.7": "L", "2.5.4.8": "ST", ORGANISATION: "O", UNIT: "OU", "2.5.4.6": "C",
    "2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}  # fmt: skip
"""The keywords of RFC 4514, section 3."""

READABLE = KEYWORDS | {GIVEN_NAME: "GN", SURNAME: "SN", TITLE: "title"}
"""The keywords of RFC 4514 and those of a person's name, as openssl writes them."""

SPECIAL = ',+"\\<>;'
RSA_LEAST, CURVE_LEAST = 2048, 256  # bits (ANSSI, Guide des mécanismes cryptographiques; SOG-IS)
KEYS = {Algorithm.RS256: ("rsa",), Algorithm.PS256: ("rsa", "rsassa_pss"), Algorithm.ES256: ("secp256r1",)}


EXTENDED_KEY_USAGE = "2.5.29.37"
PROVING = {"1.3.6.1.5.5.7.3.2", "1.3.6.1.4.1.311.20.2.2"}  # clientAuth, smart card logon: who somebody is
ELSEWHERE = {*PROVING, *(f"1.3.6.1.5.5.7.3.{number}" for number in (1, 3, 8, 9))}  # serverAuth, code, timestamps, OCSP


class Use(StrEnum):
    """What a certificate's key is for: SIGNATURE of documents, AUTHENTICATION only, something OTHER, or UNSAID."""

    SIGNATURE = "signature"
    AUTHENTICATION = "authentication"
    OTHER = "other"
    UNSAID = "unsaid"


class Attribute(Value):
    """One value of a name: its type (a dotted OID), the text, None where it is none, and the value's DER."""

    type: str
    text: str | None
    der: bytes

    def written(self, keywords: Mapping[str, str], *, is_strict: bool) -> str:
        """``CN=text``; without a keyword the type's number, and if strict, the value in hex (RFC 4514, section 2.4)."""
        keyword = keywords.get(self.type)
        if self.text is None or (keyword is None and is_strict):
            return f"{keyword or self.type}=#{self.der.hex()}"
        return f"{keyword or self.type}={_escaped(self.text)}"


class Name(Value):
    """A distinguished name: its parts in the certificate's order, the values of each in DER's order."""

    parts: tuple[tuple[Attribute, ...], ...]

    def __str__(self) -> str:
        return self.written(READABLE)

    def written(self, keywords: Mapping[str, str], *, is_strict: bool = False) -> str:
        """The name as RFC 4514 writes it, with these keywords."""
        return ",".join(
            "+".join(attribute.written(keywords, is_strict=is_strict) for attribute in part)
            for part in reversed(self.parts)
        )

    def values(self, kind: str) -> tuple[str, ...]:
        """Every text of this type."""
        return tuple(
            attribute.text
            for part in self.parts
            for attribute in part
            if attribute.type == kind and attribute.text is not None
        )

    def first(self, kind: str) -> str | None:
        """The first of them."""
        return next(iter(self.values(kind)), None)


class CertificateFacts(Value):
    """What a certificate says of itself.

    ``key_usage`` is in RFC 5280's words; ``key`` is ``rsa``, ``rsassa_pss``, a named curve, or another algorithm's
    name, of so many ``key_bits`` (0 for another's); ``extensions`` has the DER of each by its dotted OID.
    """

    number: int
    subject: Name
    issuer: Name
    not_before: datetime
    not_after: datetime
    key_usage: tuple[str, ...]
    key: str
    key_bits: int
    use: Use
    extensions: Mapping[str, bytes]

    @property
    def has_weak_key(self) -> bool:
        """Whether others may have found its private key: RSA below 2048 bits, a curve below 256."""
        return 0 < self.key_bits < (RSA_LEAST if self.key.startswith("rsa") else CURVE_LEAST)

    @property
    def has_own_curve(self) -> bool:
        """Whether the key spells out its curve, which may be made to fit it (RFC 5480, section 2.1.1, forbids that)."""
        return self.key == "ec"

    @property
    def serial(self) -> str:
        """The serial number in upper-case hex, as openssl writes it."""
        digits = f"{self.number:X}"
        return digits if len(digits) % 2 == 0 else "0" + digits

    def extension(self, oid: str) -> Tlv | None:
        """Return what is in an extension. Raises CardGarbled."""
        der = self.extensions.get(oid)
        return parse_one(der) if der else None

    def value(self, oid: str, tag: int) -> bytes | None:
        """The value in an extension, where it is of this type. Raises CardGarbled."""
        found = self.extension(oid)
        return found.value if found and found.tag == tag else None


@lru_cache(maxsize=16)  # the same few at each signature
def facts_of(der: bytes) -> CertificateFacts:
    """The certificate's own data. Raises CardGarbled when it is none, or too large to be a card's."""
    from asn1crypto import x509  # noqa: PLC0415 - with the first certificate

    if len(der) > SIZE_MAX:
        raise CardGarbled(what="certificate")
    with reading(CardGarbled(what="certificate"), CardGarbled):
        return _facts(x509.Certificate.load(der, strict=True)["tbs_certificate"])


def serial_of(der: bytes) -> str:
    """The certificate's serial number, in upper-case hex as openssl writes it. Raises CardGarbled."""
    return facts_of(der).serial


def require_signing(signer: Signer, now: datetime) -> CertificateFacts:
    """Return what the signer's certificate says, where its key may sign documents and assertions now, in this way.

    Raises SigningCertificateExpired, SigningCertificateNotYetValid, SigningCertificateUsage, AlgorithmUnsupported,
    CardGarbled. Source: the VIHF facts, section 5 (nonRepudiation); RFC 5280, sections 4.1.2.5 and 4.2.1.3.
    """
    facts = facts_of(signer.certificate)
    if now > facts.not_after:
        raise SigningCertificateExpired(not_after=_told(facts.not_after))
    if now < facts.not_before:
        raise SigningCertificateNotYetValid(not_before=_told(facts.not_before))
    if facts.use is not Use.SIGNATURE:
        raise SigningCertificateUsage
    if facts.key not in KEYS[signer.algorithm]:
        raise AlgorithmUnsupported(algorithm=signer.algorithm)
    return facts


def require_validity(der: bytes, now: datetime) -> None:
    """Raises LoginCertificateExpired, LoginCertificateNotYetValid, CardGarbled."""
    facts = facts_of(der)
    if now > facts.not_after:
        raise LoginCertificateExpired(not_after=_told(facts.not_after))
    if now < facts.not_before:
        raise LoginCertificateNotYetValid(not_before=_told(facts.not_before))


def _told(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _facts(signed: x509.TbsCertificate) -> CertificateFacts:
    number = signed["serial_number"].native
    if not 0 < number < 1 << 8 * SERIAL_MAX:  # it names the certificate in records and answers
        raise CardGarbled(what="certificate")
    extensions = dict(_extensions(signed))
    key_usage = _key_usage(extensions.get(KEY_USAGE))
    key, bits = _key(signed["subject_public_key_info"])
    return CertificateFacts(
        number=number,
        subject=_name(signed["subject"]),
        issuer=_name(signed["issuer"]),
        not_before=_time(signed["validity"]["not_before"].native),
        not_after=_time(signed["validity"]["not_after"].native),
        key_usage=key_usage,
        key=key,
        key_bits=bits,
        use=_use(key_usage, _purposes(extensions.get(EXTENDED_KEY_USAGE))),
        extensions=extensions,
    )


def _name(name: x509.Name) -> Name:
    return Name(tuple(tuple(map(_attribute, sorted(part, key=_der))) for part in name.chosen))


def _der(attribute: x509.NameTypeAndValue) -> bytes:
    return bytes(attribute.dump())


def _attribute(attribute: x509.NameTypeAndValue) -> Attribute:
    value = attribute["value"].native
    return Attribute(
        attribute["type"].dotted, value if isinstance(value, str) else None, bytes(attribute["value"].dump())
    )


def _time(told: object) -> datetime:
    if not isinstance(told, datetime):  # asn1crypto has a type of its own for the year 0
        raise CardGarbled(what="certificate")
    return told


def _extensions(signed: x509.TbsCertificate) -> Iterator[tuple[str, bytes]]:
    """Each by its OID: asn1crypto would decode them all as soon as it is asked for one."""
    from asn1crypto import core  # noqa: PLC0415 - it is loaded

    for _, extension in zip(range(EXTENSIONS_MAX), parse(signed["extensions"].contents or b""), strict=False):
        oid, value = extension.find(OBJECT_IDENTIFIER), extension.find(OCTET_STRING)
        if oid is None or value is None:
            raise CardGarbled(what="certificate")
        yield core.ObjectIdentifier.load(oid.encode()).dotted, value.value


def _key_usage(der: bytes | None) -> tuple[str, ...]:
    found = parse_one(der) if der else None
    if found is None or found.tag != BIT_STRING:
        return ()
    octets = found.value[1:3]  # behind the number of bits that are not used
    given = [n for n in range(8 * len(octets)) if octets[n // 8] & (0x80 >> n % 8)]
    return tuple(KEY_USAGES[n] for n in given if n < len(KEY_USAGES))


def _purposes(der: bytes | None) -> set[str]:
    from asn1crypto import core  # noqa: PLC0415 - it is loaded

    try:
        found = parse_one(der) if der else None
    except CardGarbled:  # an odd one makes no card useless
        return set()
    return {core.ObjectIdentifier.load(part.encode()).dotted for part in found.children} if found else set()


def _use(key_usage: tuple[str, ...], purposes: set[str]) -> Use:
    """Return what the key is for, by key usage and extended key usage.

    A signature of a document takes nonRepudiation (the VIHF facts, section 5), and purposes, where there are some,
    that are not all elsewhere (RFC 5280, sections 4.2.1.3 and 4.2.1.12).
    """
    if not key_usage:
        return Use.UNSAID
    if "nonRepudiation" in key_usage and (not purposes or not purposes <= ELSEWHERE):
        return Use.SIGNATURE
    proves = purposes & PROVING or (key_usage == ("digitalSignature",) and not purposes)
    return Use.AUTHENTICATION if proves else Use.OTHER


def _key(key: x509.PublicKeyInfo) -> tuple[str, int]:
    algorithm = str(key.algorithm)
    if algorithm in ("rsa", "rsassa_pss"):
        modulus: int = key["public_key"].parsed["modulus"].native
        return algorithm, modulus.bit_length()  # asn1crypto's own bit_size knows no modulus of zero
    if algorithm != "ec":
        return algorithm, 0
    kind, curve = key.curve
    return (str(curve), int(key.bit_size)) if kind == "named" else (algorithm, 0)


def _escaped(value: str) -> str:
    text = "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in value).replace("\0", "\\00")
    if text.endswith(" ") and len(text) > 1:
        text = f"{text[:-1]}\\ "
    return f"\\{text}" if text.startswith((" ", "#")) else text
