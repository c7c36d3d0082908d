"""Which of some authorities stand above a certificate.

Each did sign the one below it. Whether they are to be trusted is for whoever reads what they accompany.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates

from cardd.files import read_file

DEPTH_MAX = 8
UNREADABLE = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)


def certificates_of(file: Path | None, others: Iterable[bytes]) -> list[Certificate]:
    """Return the certificates of a PEM file, and others (DER).

    A file that cannot be read has none: a verification tells of it.
    """
    try:
        listed = load_pem_x509_certificates(read_file(file)) if file else []
    except (OSError, ValueError):
        listed = []
    return [*listed, *map(load_der_x509_certificate, others)]


def chain_of(certificate: bytes, authorities: Sequence[Certificate]) -> tuple[bytes, ...]:
    """Return the authorities above this certificate (DER), the nearest first."""
    found: list[Certificate] = []
    try:
        below = load_der_x509_certificate(certificate)
    except UNREADABLE:
        return ()
    while (issuer := _issuer_of(below, authorities)) is not None and issuer != below and len(found) < DEPTH_MAX:
        found.append(issuer)
        below = issuer
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def _issuer_of(certificate: Certificate, authorities: Sequence[Certificate]) -> Certificate | None:
    return next((one for one in authorities if _has_issued(one, certificate)), None)


def _has_issued(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True
