"""The configured timestamp authority, made when the first timestamp is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cardd.documents.signing import Stamper
from cardd.errors import TimestampUnconfigured
from cardd.ports import Clock


class Exchange(Protocol):
    """The way to the authority."""

    async def exchange(self, request: bytes) -> bytes:
        """The authority's answer to a timestamp request, both DER. Raises TimestampUnavailable."""
        ...


@dataclass(slots=True)
class TimestampAuthority:
    """``authorities`` is a PEM file of those that its certificate may end at; None is a fault of the configuration."""

    http: Exchange
    authorities: Path | None
    clock: Clock
    _stamper: Stamper | None = None

    async def stamper(self) -> Stamper:
        """What asks for timestamps and checks them. Raises TimestampUnconfigured, ConfigInvalid."""
        if self.authorities is None:
            raise TimestampUnconfigured
        if self._stamper is None:
            # 200 ms, when the first timestamp is wanted
            from cardd.formats.stamping import Stamper as CheckedStamper  # noqa: PLC0415
            from cardd.formats.trust import TrustedAuthorities, authorities_of  # noqa: PLC0415

            trusted = TrustedAuthorities(authorities_of(self.authorities))
            self._stamper = CheckedStamper(self.http.exchange, trusted, self.clock.now)
        return self._stamper
