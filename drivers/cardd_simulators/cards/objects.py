"""The PKCS#15 directories of a simulated CPS3: ODF, TokenInfo, AODF, PrKDF, CDF and DODF.

Every encoding is the one of the emulation facts, section 2, which both OpenSC and the official middleware accept.
Source of the meaning: ISO/IEC 7816-15.
"""

from __future__ import annotations

from cardd.tlv import encode
from cardd.values import Value

INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
UTF8_STRING, GENERALIZED_TIME, SEQUENCE = 0x0C, 0x18, 0x30
TYPE_ATTRIBUTES = 0xA1
PRIVATE_KEYS, CERTIFICATES, DATA_OBJECTS, AUTHENTICATION_OBJECTS = 0xA0, 0xA4, 0xA7, 0xA8
TOKEN_LABEL, TOKEN_ALGORITHMS, TOKEN_UPDATE, PASSWORD_REFERENCE, APPLICATION = 0x80, 0xA2, 0xA5, 0x80, 0x4F

# BIT STRINGs with their count of unused bits
READ_ONLY, READ_ONLY_LOGIN_REQUIRED = bytes.fromhex("0780"), bytes.fromhex("06C0")
PRIVATE_MODIFIABLE, PRIVATE, MODIFIABLE = bytes.fromhex("06C0"), bytes.fromhex("0780"), bytes.fromhex("0640")
KEY_RULE_FLAGS = bytes.fromhex("05E0")
PIN_INITIALIZED, UNBLOCKING_PIN = bytes.fromhex("0308"), bytes.fromhex("000B")
NON_REPUDIATION, DECRYPT_AND_SIGN, SIGN = bytes.fromhex("060040"), bytes.fromhex("0560"), bytes.fromhex("0520")
SENSITIVE_NEVER_EXTRACTABLE = bytes.fromhex("04B0")
MODULUS_BITS = 2048

HOLDER, UNBLOCKER = 1, 2  # authentication identifiers, and PIN references too
SHA1, SHA256 = bytes.fromhex("2B0E03021A"), bytes.fromhex("608648016503040201")
RSA, SHA1_RSA, RSA_PSS, SHA256_RSA = (bytes.fromhex(f"2A864886F70D0101{last}") for last in ("01", "05", "0A", "0B"))

AlgorithmEntry = tuple[str, str, bytes, int]

# mechanism (PKCS#11), operations, identifier, the card's own reference; the entry's place is its reference
ALGORITHMS = (
    ("0220", "0102", SHA1, 0x10),
    ("0250", "0102", SHA256, 0x40),
    ("06", "0640", SHA1_RSA, 0x12),
    ("40", "0640", SHA256_RSA, 0x42),
    ("01", "0640", RSA, 0x02),
    ("01", "0204", RSA, 0x1A),
)


class KeyEntry(Value):
    """A private key as its directory tells it.

    ``flags`` and ``rules`` are common attributes as encoded; both are empty for a key that works without a PIN.
    """

    label: str
    identifier: bytes
    reference: int
    usage: bytes
    flags: bytes = b""
    rules: bytes = b""


class DataEntry(Value):
    """A data object and the file it stands in."""

    label: str
    path: bytes
    modifiable: bool = False
    private: bool = False


def _sequence(*parts: bytes) -> bytes:
    return encode(SEQUENCE, b"".join(parts))


def _number(value: int) -> bytes:
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _text(text: str) -> bytes:
    return encode(UTF8_STRING, text.encode())


def _identifier(number: int) -> bytes:
    return encode(OCTET_STRING, bytes((number,)))


def _path(path: bytes) -> bytes:
    return _sequence(encode(OCTET_STRING, path))


def object_directory(paths: dict[int, bytes]) -> bytes:
    """ODF: the path of each directory, by its type's tag."""
    return b"".join(encode(tag, _path(path)) for tag, path in paths.items())


def token_info(label: str, flags: bytes, algorithms: tuple[AlgorithmEntry, ...]) -> bytes:
    """TokenInfo, with the algorithms that OpenSC wants to find."""
    listed = b"".join(_algorithm(place, *entry) for place, entry in enumerate(algorithms, start=1))
    return _sequence(
        _number(0),
        _text("ASIP SANTE"),
        encode(TOKEN_LABEL, label.encode()),
        encode(BIT_STRING, flags),
        encode(TOKEN_ALGORITHMS, listed),
        encode(TOKEN_UPDATE, encode(GENERALIZED_TIME, b"20100316110000Z")),
    )


def _algorithm(reference: int, mechanism: str, operations: str, oid: bytes, own: int) -> bytes:
    return _sequence(
        _number(reference),
        encode(INTEGER, bytes.fromhex(mechanism)),
        encode(NULL, b""),
        encode(BIT_STRING, bytes.fromhex(operations)),
        encode(OID, oid),
        encode(INTEGER, bytes((own,))),
    )


def authentication_objects(pin_length: int) -> bytes:
    """AODF: the holder's PIN and the one that unblocks it, which the first names."""
    holder = _password("Code porteur", HOLDER, PIN_INITIALIZED, (4, pin_length), _identifier(UNBLOCKER))
    return holder + _password("Code deblocage", UNBLOCKER, UNBLOCKING_PIN, (8, 8), b"")


def _password(label: str, reference: int, flags: bytes, lengths: tuple[int, int], unblocker: bytes) -> bytes:
    minimum, maximum = lengths
    attributes = _sequence(
        encode(BIT_STRING, flags),
        encode(ENUMERATED, b"\x01"),
        _number(minimum),
        _number(maximum),
        _number(maximum),
        encode(PASSWORD_REFERENCE, bytes((reference,))),
        _path(bytes.fromhex("3F00")),
    )
    common = _sequence(_text(label), encode(BIT_STRING, PRIVATE_MODIFIABLE), unblocker)
    return _sequence(common, _sequence(_identifier(reference)), encode(TYPE_ATTRIBUTES, attributes))


def private_keys(entries: list[KeyEntry], application: bytes) -> bytes:
    """PrKDF; the keys' path is the application itself, in its extended form."""
    return b"".join(_private_key(entry, application) for entry in entries)


def _private_key(entry: KeyEntry, application: bytes) -> bytes:
    own = _sequence(
        encode(OCTET_STRING, entry.identifier),
        encode(BIT_STRING, entry.usage),
        encode(BIT_STRING, SENSITIVE_NEVER_EXTRACTABLE),
        encode(INTEGER, entry.reference.to_bytes(2, "big")),
    )
    here = encode(OCTET_STRING, b"")
    place = _sequence(here, encode(0xA1, encode(APPLICATION, application) + here))
    protection = encode(BIT_STRING, entry.flags) + _identifier(HOLDER) + entry.rules if entry.flags else b""
    return _sequence(
        _sequence(_text(entry.label), protection),
        own,
        encode(TYPE_ATTRIBUTES, _sequence(place, _number(MODULUS_BITS))),
    )


def key_rules(*modes: bytes) -> bytes:
    """Access control rules: each of these modes wants the holder's PIN."""
    return _sequence(*(_sequence(encode(BIT_STRING, mode), _identifier(HOLDER)) for mode in modes))


def certificate_entry(label: str, key: bytes, path: bytes) -> bytes:
    """Return one record of a CDF; a certificate has its key's identifier."""
    return _sequence(
        _sequence(_text(label), encode(BIT_STRING, MODIFIABLE)),
        _sequence(encode(OCTET_STRING, key)),
        encode(TYPE_ATTRIBUTES, _sequence(_path(path))),
    )


def data_entry(entry: DataEntry) -> bytes:
    """Return one record of a DODF."""
    protection = b""
    if entry.modifiable:
        protection = encode(BIT_STRING, MODIFIABLE)
    if entry.private:
        protection = encode(BIT_STRING, PRIVATE) + _identifier(HOLDER)
    return _sequence(
        _sequence(_text(entry.label), protection),
        _sequence(_text("CPS")),
        encode(TYPE_ATTRIBUTES, _path(entry.path)),
    )
