"""The authorities that are configured, so that those above a signer can accompany what is signed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class KnownAuthorities:
    """The authorities of a PEM file, which is read when they are first wanted, and others (DER)."""

    def __init__(self, file: Path | None = None, others: Iterable[bytes] = ()) -> None:
        self._file = file
        self._others = tuple(others)
        self._every: list[Certificate] | None = None

    def above(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the authorities above this certificate (DER), the nearest first; none where none is known."""
        from cardd.identity.chain import certificates_of, chain_of  # noqa: PLC0415 - cryptography would slow the start

        if self._every is None:
            self._every = certificates_of(self._file, self._others)
        return chain_of(certificate, self._every)
