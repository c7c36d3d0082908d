"""Where things are on a card, and what it holds: EF.DIR, the ODF, and the records of the directories that it lists.

The directories are those of PINs (AODF), private keys (PrKDF), certificates (CDF) and data (DODF). Every record is
CommonObjectAttributes, class attributes, optional ``[0]`` subclass attributes, ``[1]`` type attributes. Records of
types that no CPx has (biometrics, elliptic keys, …) are passed over.

Source: ISO/IEC 7816-4 section 8.2.1 (EF.DIR), ISO/IEC 7816-15 sections 8.3 (ODF) and 8.4 to 8.10.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum, IntFlag
from itertools import islice

from cardd.errors import CardGarbled
from cardd.tlv import Tlv, parse
from cardd.values import Value
from cardd_drivers.pkcs15 import asn1

APPLICATION_TEMPLATE = 0x61
APPLICATION_ID = 0x4F
APPLICATION_LABEL = 0x50
APPLICATION_PATH = 0x51
AID_MAX = 16
RECORDS_MAX = 64

MASTER_FILE = bytes.fromhex("3F00")

TYPE_ATTRIBUTES = 0xA1
PASSWORD_REFERENCE = 0x80


class DirectoryType(IntEnum):
    """What a directory file lists: the tag under which the ODF names it."""

    PRIVATE_KEYS = 0xA0
    CERTIFICATES = 0xA4
    DATA = 0xA7
    AUTHENTICATION = 0xA8


class Application(Value):
    """One application of the card: its DF name, its label and the path of its DF, empty where EF.DIR has none."""

    aid: bytes
    label: str
    path: bytes

    def resolve(self, path: bytes) -> bytes | None:
        """Return the path, from the master file, of a file that this application names, also relative to its DF.

        None for a relative one where the DF's own path is not known.
        """
        if path.startswith(MASTER_FILE):
            return path
        return self.path + path if self.path else None


def applications(ef_dir: bytes) -> list[Application]:
    """Return the applications in EF.DIR, in its order. Raises CardGarbled."""
    templates = islice(parse(ef_dir, padded=True), RECORDS_MAX)
    return [_application(found) for found in templates if found.tag == APPLICATION_TEMPLATE]


def _application(template: Tlv) -> Application:
    fields = template.children
    aid = asn1.first(fields, APPLICATION_ID) or b""
    if not 1 <= len(aid) <= AID_MAX:
        raise CardGarbled(what="an application without a name")
    path = asn1.first(fields, APPLICATION_PATH)
    return Application(
        aid=aid,
        label=asn1.label(asn1.first(fields, APPLICATION_LABEL) or b""),
        path=asn1.path(path) if path else b"",
    )


def directory_paths(odf: bytes, wanted: DirectoryType) -> list[bytes]:
    """Return the paths of the directory files of one type, in the ODF's order. Raises CardGarbled."""
    entries = islice(parse(odf, padded=True), RECORDS_MAX)
    return [_path(entry) for entry in entries if entry.tag == wanted]


def _path(entry: Tlv) -> bytes:
    found = entry.find(asn1.SEQUENCE, asn1.OCTET_STRING)
    if found is None:
        raise CardGarbled(what="a directory without a path")
    return asn1.path(found.value)


class PasswordFlags(IntFlag):
    """PKCS#15 PasswordFlags, as far as they matter here."""

    INITIALIZED = 1 << 4
    UNBLOCKING = 1 << 6
    SECURITY_OFFICER = 1 << 7


class KeyUsage(IntFlag):
    """PKCS#15 KeyUsageFlags, as far as they matter here."""

    DECRYPT = 1 << 1
    SIGN = 1 << 2
    SIGN_RECOVER = 1 << 3
    NON_REPUDIATION = 1 << 9


class Password(Value):
    """One PIN or PUK: ``id`` is what keys name it by, ``reference`` what the card is told; lengths in characters."""

    id: bytes
    label: str
    reference: int
    minimum: int
    maximum: int
    flags: PasswordFlags

    @property
    def is_unblocking(self) -> bool:
        """Return whether this is a PUK, which only unblocks another password."""
        return bool(self.flags & (PasswordFlags.UNBLOCKING | PasswordFlags.SECURITY_OFFICER))


class PrivateKey(Value):
    """One RSA private key.

    ``auth_id`` names the password that protects it, None when it has none; ``bits`` is the length of its modulus, 0
    when the record does not tell.
    """

    id: bytes
    label: str
    reference: int
    usage: KeyUsage
    auth_id: bytes | None
    bits: int


class CertificateFile(Value):
    """The place of one X.509 certificate; ``id`` is that of its key."""

    id: bytes
    label: str
    path: bytes


class DataFile(Value):
    """The place of one data object."""

    label: str
    path: bytes


class _Record(Value):
    label: str
    auth_id: bytes | None
    own: list[Tlv]
    type: list[Tlv]


def passwords(aodf: bytes) -> list[Password]:
    """Return the passwords of an AODF. Raises CardGarbled."""
    return [_password(record) for record in _records(aodf)]


def _password(record: _Record) -> Password:
    lengths = [asn1.integer(field.value) for field in record.type if field.tag == asn1.INTEGER]
    if len(lengths) < 2:
        raise CardGarbled(what="a PIN without lengths")
    minimum, maximum = lengths[0], lengths[2] if len(lengths) > 2 else lengths[1]
    return Password(
        id=asn1.identifier(_needed(record.own, asn1.OCTET_STRING)),
        label=record.label,
        reference=asn1.reference(asn1.first(record.type, PASSWORD_REFERENCE) or b"\x00"),
        minimum=minimum,
        maximum=maximum,
        flags=PasswordFlags(asn1.bits(_needed(record.type, asn1.BIT_STRING))),
    )


def private_keys(prkdf: bytes) -> list[PrivateKey]:
    """Return the RSA keys of a PrKDF. Raises CardGarbled."""
    return [
        PrivateKey(
            id=asn1.identifier(_needed(record.own, asn1.OCTET_STRING)),
            label=record.label,
            reference=asn1.reference(_needed(record.own, asn1.INTEGER)),
            usage=KeyUsage(asn1.bits(_needed(record.own, asn1.BIT_STRING))),
            auth_id=record.auth_id,
            bits=asn1.integer(asn1.first(record.type, asn1.INTEGER) or b"\x00"),
        )
        for record in _records(prkdf)
    ]


def certificate_files(cdf: bytes) -> list[CertificateFile]:
    """Return the X.509 certificates of a CDF that stand in files of their own. Raises CardGarbled."""
    found = []
    for record in _records(cdf):
        place = asn1.first(record.type, asn1.SEQUENCE)
        if place is None:
            continue
        path = asn1.path(_needed(list(parse(place)), asn1.OCTET_STRING))
        found.append(CertificateFile(asn1.identifier(_needed(record.own, asn1.OCTET_STRING)), record.label, path))
    return found


def data_files(dodf: bytes) -> list[DataFile]:
    """Return the data objects of a DODF that stand in files of their own. Raises CardGarbled."""
    places = ((record.label, asn1.first(record.type, asn1.OCTET_STRING)) for record in _records(dodf))
    return [DataFile(label, asn1.path(place)) for label, place in places if place is not None]


def _records(directory: bytes) -> Iterator[_Record]:
    for entry in islice(parse(directory, padded=True), RECORDS_MAX):
        if entry.tag == asn1.SEQUENCE:
            yield _record(entry.children)


def _record(parts: list[Tlv]) -> _Record:
    sequences = [part for part in parts if part.tag == asn1.SEQUENCE]
    attributes = next((part.find(asn1.SEQUENCE) for part in parts if part.tag == TYPE_ATTRIBUTES), None)
    if len(sequences) < 2 or attributes is None:
        raise CardGarbled(what="a directory record without its attributes")
    common = sequences[0].children
    auth_id = asn1.first(common, asn1.OCTET_STRING)
    return _Record(
        label=asn1.label(asn1.first(common, asn1.UTF8_STRING) or b""),
        auth_id=asn1.identifier(auth_id) if auth_id else None,
        own=sequences[1].children,
        type=attributes.children,
    )


def _needed(fields: list[Tlv], tag: int) -> bytes:
    value = asn1.first(fields, tag)
    if value is None:
        raise CardGarbled(what="a directory record without a field it must have")
    return value
