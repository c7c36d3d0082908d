"""The certificate that signs an assertion: what it says, and whether it may sign this one now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from cardd.errors import (
    AlgorithmUnsupported,
    AssertionCertificateEarly,
    AssertionCertificateExpired,
    AssertionKeyUsage,
    AssertionSignerOther,
    CardGarbled,
)
from cardd.formats.prepared import Signer
from cardd.model import Algorithm
from cardd.tlv import in_order, parse_one

NAMES = {NameOID.GIVEN_NAME: "GN", NameOID.SURNAME: "SN", NameOID.TITLE: "T"}  # in the Issuer, as the samples have them
EXTENSIONS, SEQUENCE, OBJECT_IDENTIFIER, OCTET_STRING, BIT_STRING = 0xA3, 0x30, 0x06, 0x04, 0x03
KEY_USAGE = b"\x55\x1d\x0f"  # 2.5.29.15
NON_REPUDIATION = 0x40  # bit 1 (RFC 5280, section 4.2.1.3)


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """The subject as RFC 2253 writes it, the values of its CN and OU, and what decides whether it may sign."""

    subject: str
    common_names: tuple[str, ...]
    units: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    is_for_signatures: bool


def signing_certificate(signer: Signer, now: datetime) -> SigningCertificate:
    """The certificate of a key that may sign an assertion now.

    Raises AlgorithmUnsupported but for RSA with SHA-256, CardGarbled, AssertionKeyUsage, AssertionCertificateExpired,
    AssertionCertificateEarly.
    """
    if signer.algorithm is not Algorithm.RS256:
        raise AlgorithmUnsupported(algorithm=signer.algorithm)
    certificate = _read(signer.certificate)
    if not certificate.is_for_signatures:
        raise AssertionKeyUsage
    if now > certificate.not_after:
        raise AssertionCertificateExpired(until=certificate.not_after.date().isoformat())
    if now < certificate.not_before:
        raise AssertionCertificateEarly(since=certificate.not_before.date().isoformat())
    return certificate


def check_person(certificate: SigningCertificate, national_id: str) -> None:
    """The card is the speaker's own. Raises AssertionSignerOther."""
    if national_id not in certificate.common_names:
        raise AssertionSignerOther


def check_organisation(certificate: SigningCertificate, identifier: str) -> None:
    """The certificate is this organisation's. Raises AssertionSignerOther."""
    if identifier not in (unit.strip() for unit in certificate.units):
        raise AssertionSignerOther


def _read(der: bytes) -> SigningCertificate:
    try:
        certificate = x509.load_der_x509_certificate(in_order(der))
        subject = certificate.subject.rfc4514_string(NAMES)
        if not subject.isprintable():
            raise CardGarbled(what="certificate")
        return SigningCertificate(
            subject,
            _values(certificate, NameOID.COMMON_NAME),
            _values(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _is_for_signatures(certificate.tbs_certificate_bytes),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as fault:
        raise CardGarbled(what="certificate") from fault


def _values(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid))


def _is_for_signatures(signed_part: bytes) -> bool:
    """Whether the key usage has nonRepudiation; other extensions may be as odd as they like."""
    extensions = parse_one(signed_part).find(EXTENSIONS, SEQUENCE)
    for extension in extensions.children if extensions else ():
        name, value = extension.find(OBJECT_IDENTIFIER), extension.find(OCTET_STRING)
        if name and value and name.value == KEY_USAGE:
            bits = parse_one(value.value)
            return bits.tag == BIT_STRING and len(bits.value) > 1 and bool(bits.value[1] & NON_REPUDIATION)
    return False
