"""What a token shows without a login: for each of its keys a certificate, a public and a private key object.

The authorities above are there as well, as far as they are known, so that a program can send them along.
All three have the card's identifier of the key. The private key's object has the public numbers as well: without them
GnuTLS and OpenSSL refuse it, and NSS makes signatures only to learn them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from cardd.errors import CardGarbled
from cardd.model import CardCertificate, KeyPurpose, KeyRef
from cardd.p11.cryptoki import SECRET, Attribute, KeyType, ObjectClass, Refused, Rv
from cardd.p11.wire import AttributeValue, size_of
from cardd.tlv import SEQUENCE, Tlv, encode, parse_one
from cardd.values import Value

VERSION, INTEGER, OCTET_STRING = 0xA0, 0x02, 0x04
RSA = bytes.fromhex("2A864886F70D010101")
ELLIPTIC = bytes.fromhex("2A8648CE3D0201")
X509, TOKEN_USER, AUTHORITY = 0, 1, 2
COMMON_NAME = bytes.fromhex("550403")
Attributes = Mapping[int, AttributeValue]


class PublicKey(Value):
    """A certificate's key: its type, its numbers as attributes, the size of its signatures and of itself in bits."""

    type: KeyType
    numbers: Attributes
    signature_size: int
    bits: int
    info: bytes


class TokenObject(Value):
    """One object; ``key`` is the card's key, for one that stands for it."""

    attributes: Attributes
    key: KeyRef | None = None
    public: PublicKey | None = None

    def matches(self, template: Iterable[tuple[int, AttributeValue | None]]) -> bool:
        """Return whether all these attributes are its own."""
        return all(value is not None and self.attributes.get(kind) == value for kind, value in template)

    def read(self, wanted: Iterable[tuple[int, int]]) -> tuple[list[tuple[int, AttributeValue | None]], Rv]:
        """Return these attributes, None for each that is not given, and why, for the last of those."""
        found: list[tuple[int, AttributeValue | None]] = []
        rv = Rv.OK
        for kind, room in wanted:
            value = self.attributes.get(kind)
            if value is None:
                is_secret = self.key is not None and kind in SECRET
                rv = Rv.ATTRIBUTE_SENSITIVE if is_secret else Rv.ATTRIBUTE_TYPE_INVALID
            elif 0 < room < size_of(kind, value):
                value, rv = None, Rv.BUFFER_TOO_SMALL
            found.append((kind, value))
        return found, rv


def objects_of(keys: Iterable[KeyRef], certificates: Iterable[CardCertificate]) -> Iterator[TokenObject]:
    """Yield the objects of the holder's keys that have a certificate; one that cannot be read has none."""
    by_key = {certificate.key_id: certificate for certificate in certificates}
    for key in keys:
        certificate = by_key.get(key.id)
        if certificate is None or key.purpose is KeyPurpose.TECHNICAL:
            continue  # a technical key speaks for no holder
        try:
            parts = _Parts.of(certificate.der)
            public = _public_key(parts.public_key)
        except (CardGarbled, ValueError):
            continue
        yield from _three(key, certificate, parts, public)


OF_ALL: Attributes = {Attribute.TOKEN: 1, Attribute.PRIVATE: 0, Attribute.MODIFIABLE: 0}
OF_CERTIFICATES: Attributes = {
    **OF_ALL,
    Attribute.CLASS: ObjectClass.CERTIFICATE,
    Attribute.CERTIFICATE_TYPE: X509,
    Attribute.CERTIFICATE_CATEGORY: TOKEN_USER,
    Attribute.TRUSTED: 0,
}
OF_PUBLIC_KEYS: Attributes = {
    **OF_ALL,
    Attribute.CLASS: ObjectClass.PUBLIC_KEY,
    Attribute.LOCAL: 0,
    Attribute.DERIVE: 0,
    Attribute.VERIFY: 1,
    Attribute.VERIFY_RECOVER: 0,
    Attribute.ENCRYPT: 0,
    Attribute.WRAP: 0,
    Attribute.TRUSTED: 0,
}
OF_PRIVATE_KEYS: Attributes = {
    **OF_ALL,
    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
    Attribute.LOCAL: 0,
    Attribute.DERIVE: 0,
    Attribute.SIGN: 1,
    Attribute.SIGN_RECOVER: 0,
    Attribute.DECRYPT: 0,
    Attribute.UNWRAP: 0,
    Attribute.SENSITIVE: 1,
    Attribute.ALWAYS_SENSITIVE: 1,
    Attribute.EXTRACTABLE: 0,
    Attribute.NEVER_EXTRACTABLE: 1,
    Attribute.ALWAYS_AUTHENTICATE: 0,
    Attribute.WRAP_WITH_TRUSTED: 0,
}


def _three(key: KeyRef, certificate: CardCertificate, parts: _Parts, public: PublicKey) -> Iterator[TokenObject]:
    common: dict[int, AttributeValue] = {
        Attribute.ID: bytes.fromhex(key.id),
        Attribute.SUBJECT: parts.subject,
        Attribute.PUBLIC_KEY_INFO: public.info,
    }
    of_certificate: dict[int, AttributeValue] = {
        Attribute.LABEL: (certificate.label or key.label).encode(),
        Attribute.ISSUER: parts.issuer,
        Attribute.SERIAL_NUMBER: parts.serial,
        Attribute.VALUE: certificate.der,
    }
    of_keys: dict[int, AttributeValue] = {
        Attribute.LABEL: (key.label or certificate.label).encode(),
        Attribute.KEY_TYPE: public.type,
        **public.numbers,
    }
    bits: Attributes = {Attribute.MODULUS_BITS: public.bits} if public.type is KeyType.RSA else {}
    yield TokenObject({**OF_CERTIFICATES, **common, **of_certificate})
    yield TokenObject({**OF_PUBLIC_KEYS, **common, **of_keys, **bits})
    able: Attributes = {Attribute.DECRYPT: int(key.decrypts)}
    yield TokenObject({**OF_PRIVATE_KEYS, **common, **of_keys, **able}, key, public)


def authorities_of(above: Iterable[bytes]) -> Iterator[TokenObject]:
    """Yield the objects of authorities, but for those that vouch for themselves: whoever trusts one has it."""
    for der in dict.fromkeys(above):
        try:
            parts = _Parts.of(der)
            name = _common_name(parts.subject)
        except (CardGarbled, ValueError):
            continue
        if parts.subject == parts.issuer:
            continue
        info = parts.public_key.encode()
        own: dict[int, AttributeValue] = {
            Attribute.CERTIFICATE_CATEGORY: AUTHORITY,
            Attribute.ID: hashlib.sha256(info).digest(),
            Attribute.LABEL: name,
            Attribute.SUBJECT: parts.subject,
            Attribute.ISSUER: parts.issuer,
            Attribute.SERIAL_NUMBER: parts.serial,
            Attribute.PUBLIC_KEY_INFO: info,
            Attribute.VALUE: der,
        }
        yield TokenObject({**OF_CERTIFICATES, **own})


def _common_name(name: bytes) -> bytes:
    """Return the last common name in a Name (RFC 5280, section 4.1.2.4); empty where there is none."""
    parts = [part.children for group in parse_one(name).children for part in group.children]
    return next((value.value for kind, value in reversed(parts) if kind.value == COMMON_NAME), b"")


def require_key(found: TokenObject | None) -> tuple[KeyRef, PublicKey]:
    """Return the key that an object stands for. Raises Refused."""
    if found is None or found.key is None or found.public is None:
        raise Refused(Rv.KEY_HANDLE_INVALID)
    return found.key, found.public


class _Parts(Value):
    """Parts of a certificate as they are encoded there (RFC 5280, section 4.1)."""

    serial: bytes
    issuer: bytes
    subject: bytes
    public_key: Tlv

    @classmethod
    def of(cls, der: bytes) -> _Parts:
        """Raises CardGarbled, ValueError."""
        body = parse_one(der).find(SEQUENCE)
        if body is None:
            raise CardGarbled(what="certificate")
        fields = [field for field in body.children if field.tag != VERSION]
        serial, _, issuer, _, subject, public_key, *_ = fields
        if [serial.tag, issuer.tag, subject.tag, public_key.tag] != [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE]:
            raise CardGarbled(what="certificate")
        return cls(serial.encode(), issuer.encode(), subject.encode(), public_key)


def _public_key(info: Tlv) -> PublicKey:
    """Return the key of a SubjectPublicKeyInfo. Raises CardGarbled, ValueError for a kind of key that is not served."""
    algorithm, content = info.children
    kind, *parameters = algorithm.children
    bits = content.value[1:]
    if kind.value == RSA:
        modulus, exponent = (number.value.lstrip(b"\0") for number in parse_one(bits).children)
        numbers: dict[int, AttributeValue] = {Attribute.MODULUS: modulus, Attribute.PUBLIC_EXPONENT: exponent}
        length = int.from_bytes(modulus, "big").bit_length()
        return PublicKey(KeyType.RSA, numbers, len(modulus), length, info.encode())
    if kind.value != ELLIPTIC or not parameters:
        raise ValueError("kind of key")
    point = encode(OCTET_STRING, bits)
    numbers = {Attribute.EC_PARAMS: parameters[0].encode(), Attribute.EC_POINT: point}
    half = (len(bits) - 1) // 2
    return PublicKey(KeyType.EC, numbers, 2 * half, 8 * half, info.encode())
