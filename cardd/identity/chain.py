"""Which of some authorities stand above a certificate.

Each did sign the one below it. Whether they are to be trusted is for whoever reads what they accompany.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cardd.files import LISTS, read_file
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
        left = list(self._every or ())
        for _ in range(DEPTH_MAX):
            issuers = [] if below.is_issued_by(below) else [one for one in left if below.is_issued_by(one)]
            if not issuers:
                return
            below = max(issuers, key=lambda one: one.is_current)  # the first; an authority may have been renewed
            yield below
            left = [one for one in left if one.der != below.der]


def _listed(file: Path | None) -> Iterator[Certificate]:
    """Yield the certificates of a PEM file. A file or one of them that cannot be read has none.

    A verification tells of it where no program can read it.
    """
    from asn1crypto import pem  # noqa: PLC0415 - as all of it, with the first certificate

    try:
        found = list(pem.unarmor(read_file(file, LISTS), multiple=True)) if file else []
    except (OSError, ValueError):
        return
    for kind, _, der in found:
        with suppress(ValueError):  # a key of an algorithm that libcrypto does not know
            if kind == "CERTIFICATE":
                yield Certificate(der)
