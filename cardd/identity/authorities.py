"""The authorities above a certificate, among those that are configured: cards do not bring their own along.

They accompany what is signed. Whether they are to be trusted is the reader's to judge; each one here did sign the one
below it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates

DEPTH_MAX = 8
UNREADABLE = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)


class KnownAuthorities:
    """Those of a PEM file, which is read when they are first wanted, and others (DER)."""

    def __init__(self, file: Path | None = None, others: Iterable[bytes] = ()) -> None:
        self._file = file
        self._others = tuple(others)

    def above(self, certificate: bytes) -> tuple[bytes, ...]:
        """Those above this certificate (DER), the nearest first; none where none is known."""
        found: list[Certificate] = []
        try:
            below = load_der_x509_certificate(certificate)
            while (issuer := self._issuer_of(below)) is not None and issuer != below and len(found) < DEPTH_MAX:
                found.append(issuer)
                below = issuer
        except UNREADABLE:
            pass
        return tuple(one.public_bytes(Encoding.DER) for one in found)

    def _issuer_of(self, certificate: Certificate) -> Certificate | None:
        return next((one for one in self._every if _has_issued(one, certificate)), None)

    @cached_property
    def _every(self) -> list[Certificate]:
        """A file that cannot be read has none here: a verification tells what is wrong with it."""
        try:
            listed = load_pem_x509_certificates(self._file.read_bytes()) if self._file else []
        except (OSError, ValueError):
            listed = []
        return [*listed, *map(load_der_x509_certificate, self._others)]


def _has_issued(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True
