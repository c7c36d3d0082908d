"""Who a CPx certificate speaks for, and what it says of itself.

Every field may be absent (the profiles of CPF, CPE and of the technical certificate are not known) but the national
identifier: without it there is nobody to speak for. Codes stay codes; their words are in the ANS tables.

Source: the card facts, section "Certificates".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from cardd.errors import CardGarbled, CardIncomplete
from cardd.model import Identity, KeyPurpose
from cardd.tlv import Tlv, parse_one

if TYPE_CHECKING:
    from cardd.identity.certificate import PlainCertificate

COMMON_NAME, SURNAME, GIVEN_NAME, TITLE = "2.5.4.3", "2.5.4.4", "2.5.4.42", "2.5.4.12"
KEY_USAGE = "2.5.29.15"
CARD_TYPE = "1.2.250.1.71.1.2.2"
CARD_NUMBER = "1.2.250.1.71.1.2.3"
CARD_CATEGORY = "1.2.250.1.71.1.2.5"
PROFESSION = "1.2.250.1.71.1.2.7"
SPECIALTY = "1.2.250.1.71.4.2.5"

INTEGER, BIT_STRING, OCTET_STRING, SEQUENCE = 0x02, 0x03, 0x04, 0x30
STRINGS = (0x0C, 0x13, 0x16)  # UTF8String, PrintableString, IA5String
TEXT_MAX = 128
NUMBER_SIZE_MAX = 4
TEST_CARD = 0x80  # table G01: bit 8 marks test cards and test software certificates

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


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What the API and doctor tell of a certificate; names as RFC 4514 strings, ``key_usage`` in RFC 5280's words.

    ``purpose`` is what its key usage allows it for; None when neither.
    """

    serial: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key_usage: tuple[str, ...]
    purpose: KeyPurpose | None


def identity_of(der: bytes) -> Identity:
    """The holder, from a certificate of the card. Raises CardGarbled, CardIncomplete without national identifier."""
    certificate = _read(der)
    subject, extensions = certificate.subject_fields, certificate.extensions
    national_id = _clean(subject.get(COMMON_NAME))
    if not national_id:
        raise CardIncomplete(what="holder")
    return Identity(
        national_id=national_id,
        family_name=_clean(subject.get(SURNAME)) or "",
        given_name=_clean(subject.get(GIVEN_NAME)) or "",
        title=_clean(subject.get(TITLE)),
        profession=_number(extensions, PROFESSION),
        specialty=_specialty(extensions),
        card_type=_number(extensions, CARD_TYPE),
        card_number=_text(_object(extensions, CARD_NUMBER)),
        is_test=is_test(extensions),
    )


def is_test(extensions: dict[str, bytes]) -> bool:
    """Whether a certificate with these extensions is of a test card or a test software certificate."""
    category = _value(extensions, CARD_CATEGORY, OCTET_STRING)
    return bool(category and category[0] & TEST_CARD)


def serial_of(der: bytes) -> str:
    """The certificate's serial number, in upper-case hex as openssl writes it. Raises CardGarbled."""
    return _hex(_read(der).serial)


@lru_cache(maxsize=16)  # the same few at each signature; to read one takes 0.4 ms
def facts_of(der: bytes) -> CertificateFacts:
    """The certificate's own data. Raises CardGarbled."""
    certificate = _read(der)
    usages = _key_usage(certificate.extensions)
    return CertificateFacts(
        serial=_hex(certificate.serial),
        subject=certificate.subject,
        issuer=certificate.issuer,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        key_usage=usages,
        purpose=_purpose(usages),
    )


def _read(der: bytes) -> PlainCertificate:
    from cardd.identity.certificate import read  # noqa: PLC0415 - cryptography would slow the daemon's start

    return read(der)


def _hex(serial: int) -> str:
    digits = f"{serial:X}"
    return digits if len(digits) % 2 == 0 else "0" + digits


def _key_usage(extensions: dict[str, bytes]) -> tuple[str, ...]:
    octets = (_value(extensions, KEY_USAGE, BIT_STRING) or b"")[1:3]
    given = [n for n in range(8 * len(octets)) if octets[n // 8] & (0x80 >> n % 8)]
    return tuple(KEY_USAGES[n] for n in given if n < len(KEY_USAGES))


def _purpose(usages: tuple[str, ...]) -> KeyPurpose | None:
    if "nonRepudiation" in usages:
        return KeyPurpose.SIGNATURE
    return KeyPurpose.AUTHENTICATION if "digitalSignature" in usages else None


def _object(extensions: dict[str, bytes], oid: str) -> Tlv | None:
    der = extensions.get(oid)
    return parse_one(der) if der else None


def _value(extensions: dict[str, bytes], oid: str, tag: int) -> bytes | None:
    found = _object(extensions, oid)
    return found.value if found and found.tag == tag else None


def _number(extensions: dict[str, bytes], oid: str) -> str | None:
    value = _value(extensions, oid, INTEGER)
    if value is None:
        return None
    if not 1 <= len(value) <= NUMBER_SIZE_MAX:
        raise CardGarbled(what="certificate")
    return str(int.from_bytes(value, "big", signed=True))


def _specialty(extensions: dict[str, bytes]) -> str | None:
    """The first savoir-faire of the sequence."""
    codes = _object(extensions, SPECIALTY)
    if codes is None or codes.tag != SEQUENCE:
        return None
    return next((text for code in codes.children if (text := _text(code))), None)


def _text(found: Tlv | None) -> str | None:
    if found is None or found.tag not in STRINGS:
        return None
    return _clean(found.value[: 4 * TEXT_MAX].decode("utf-8", "replace"))


def _clean(text: str | None) -> str | None:
    """Text that may be shown and logged: no control characters, and no longer than any field of a CPx."""
    if text is None:
        return None
    return "".join(character for character in text[:TEXT_MAX] if character.isprintable()).strip() or None
