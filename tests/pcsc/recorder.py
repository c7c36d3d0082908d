"""A listener that remembers what it was told, and lets a test wait for more."""

from __future__ import annotations

import asyncio
import time

from cardd.core.readers import DriverRegistry
from cardd.driver import Card, Channel
from cardd.pcsc import PcscReaders
from cardd.ports import Reader, Token

Told = tuple[str, str] | tuple[str, str, str] | tuple[str, bool]


class Recorder:
    """``told`` has what has not been taken yet; ``delays`` the seconds from SCardGetStatusChange to each card event."""

    def __init__(self, source: PcscReaders) -> None:
        self.readers: dict[str, Reader] = {}
        self.delays: list[float] = []
        self.source = source
        self._registry = DriverRegistry([])
        self._told: asyncio.Queue[Told] = asyncio.Queue()

    async def take(self, count: int, *, timeout: float = 10.0) -> list[Told]:
        """The next ``count`` things told."""
        async with asyncio.timeout(timeout):
            return [await self._told.get() for _ in range(count)]

    @property
    def is_quiet(self) -> bool:
        """Whether everything told has been taken."""
        return self._told.empty()

    def readers_available(self, available: bool) -> None:
        self._told.put_nowait(("available", available))

    def reader_added(self, reader: Reader, user: int | None = None) -> None:
        self.readers[reader.name] = reader
        self._told.put_nowait(("added", reader.name))

    def reader_removed(self, name: str) -> None:
        self._told.put_nowait(("removed", name))

    def card_inserted(self, name: str, atr: bytes) -> None:
        self.delays.append(time.monotonic() - self.source.last_change)
        self._told.put_nowait(("in", name, atr.hex().upper()))

    def token_inserted(self, name: str, token: Token) -> None:
        self._told.put_nowait(("token", name))

    def source_failed(self, source: str, why: str) -> None:
        self._told.put_nowait(("failed", source))

    def open_card(self, name: str, channel: Channel) -> Card:
        return self._registry.open(channel)

    def card_removed(self, name: str) -> None:
        self.delays.append(time.monotonic() - self.source.last_change)
        self._told.put_nowait(("out", name))
