"""An X.509 certificate as plain values, read once with cryptography.

Importing this module imports cryptography (70 ms): the modules that need it do so when a certificate is at hand. The
extensions are walked here, because a strict reading of one that cardd has no use for must not make a card useless.

Source: RFC 5280 sections 4.1 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import Certificate, InvalidVersion, load_der_x509_certificate
from cryptography.x509.oid import NameOID

from cardd.errors import CardGarbled
from cardd.tlv import Tlv, in_order, parse_one

SIZE_MAX = 16 * 1024
EXTENSIONS_MAX = 64
SERIAL_MAX = 20  # bytes; RFC 5280, section 4.1.2.2
EXTENSIONS = 0xA3
NAMES = {NameOID.GIVEN_NAME: "GN", NameOID.SURNAME: "SN", NameOID.TITLE: "title"}  # as openssl writes them
SEQUENCE, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING = 0x30, 0x02, 0x06, 0x04


@dataclass(frozen=True, slots=True)
class PlainCertificate:
    """The fields of a certificate that cardd looks at.

    ``subject_fields`` maps a dotted attribute type to its first value; ``units`` are all its OUs;
    ``extensions`` maps a dotted OID to the DER inside.
    """

    serial: int
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    subject_fields: dict[str, str]
    units: tuple[str, ...]
    extensions: dict[str, bytes]


def read(der: bytes) -> PlainCertificate:
    """Read a certificate. Raises CardGarbled when it is none, or too large to be a card's."""
    if len(der) > SIZE_MAX:
        raise CardGarbled(what="certificate")
    try:
        _check_serial(der)
        return _read(load_der_x509_certificate(in_order(der)))
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion) as fault:
        raise CardGarbled(what="certificate") from fault


def _check_serial(der: bytes) -> None:
    """Positive and short: it names the certificate in records and answers."""
    serial = parse_one(der).find(SEQUENCE, INTEGER)
    number = int.from_bytes(serial.value, "big", signed=True) if serial else 0
    if not 0 < number < 1 << 8 * SERIAL_MAX:
        raise CardGarbled(what="certificate")


def _read(certificate: Certificate) -> PlainCertificate:
    return PlainCertificate(
        serial=certificate.serial_number,
        subject=certificate.subject.rfc4514_string(NAMES),
        issuer=certificate.issuer.rfc4514_string(NAMES),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        subject_fields=_subject_fields(certificate),
        units=tuple(
            str(unit.value) for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        ),
        extensions=_extensions(certificate.tbs_certificate_bytes),
    )


def _subject_fields(certificate: Certificate) -> dict[str, str]:
    """Multi-valued RDNs included: a CPx's subject has name, given name and number in one."""
    fields: dict[str, str] = {}
    for attribute in certificate.subject:
        if isinstance(attribute.value, str):
            fields.setdefault(attribute.oid.dotted_string, attribute.value)
    return fields


def _extensions(signed_part: bytes) -> dict[str, bytes]:
    found = parse_one(signed_part).find(EXTENSIONS, SEQUENCE)
    return dict(_extension(entry) for entry in found.children[:EXTENSIONS_MAX]) if found else {}


def _extension(entry: Tlv) -> tuple[str, bytes]:
    name, value = entry.find(OBJECT_IDENTIFIER), entry.find(OCTET_STRING)
    if name is None or value is None:
        raise CardGarbled(what="certificate")
    return _dotted(name.value), value.value


def _dotted(oid: bytes) -> str:
    """An object identifier in its dotted form (X.690, 8.19)."""
    arcs, arc = [], 0
    for byte in oid:
        arc = arc << 7 | byte & 0x7F
        if byte < 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        raise CardGarbled(what="certificate")
    first = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (first, arcs[0] - 40 * first, *arcs[1:]))
