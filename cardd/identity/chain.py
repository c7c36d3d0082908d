"""Which of some authorities stand above a certificate.

Each did sign the one below it. Whether they are to be trusted is for whoever reads what they accompany.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cardd.files import read_file
from cardd.libcrypto import Certificate

DEPTH_MAX = 8


class KnownAuthorities:
    """The authorities of a PEM file, which is read when they are first wanted, and others (DER)."""

    def __init__(self, file: Path | None = None, others: Iterable[bytes] = ()) -> None:
        self._file = file
        self._others = tuple(others)
        self._every: list[Certificate] | None = None

    def above(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the authorities above this certificate (DER), the nearest first; none where none is known."""
        if self._every is None:
            self._every = [*_listed(self._file), *map(Certificate, self._others)]
        try:
            below = Certificate(certificate)
        except ValueError:
            return ()
        return tuple(issuer.der for issuer in self._chain(below))

    def _chain(self, below: Certificate) -> Iterator[Certificate]:
        for _ in range(DEPTH_MAX):
            issuer = next((one for one in self._every or () if below.is_issued_by(one)), None)
            if issuer is None or issuer.der == below.der:
                return
            yield issuer
            below = issuer


def _listed(file: Path | None) -> list[Certificate]:
    """Return the certificates of a PEM file; one that cannot be read has none, and a verification tells of it."""
    from asn1crypto import pem  # noqa: PLC0415 - as all of it, with the first certificate

    try:
        found = list(pem.unarmor(read_file(file), multiple=True)) if file else []
        return [Certificate(der) for kind, _, der in found if kind == "CERTIFICATE"]
    except (OSError, ValueError):
        return []
