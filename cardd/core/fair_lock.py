"""A lock that callers have in turns: who waits with many requests has it once, and then each other caller once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class FairLock:
    """One at a time; of each caller in the order in which they came."""

    def __init__(self) -> None:
        self._is_held = False
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # by caller, in the order of their turns

    @asynccontextmanager
    async def turn(self, caller: Hashable) -> AsyncIterator[None]:
        """Have the lock inside."""
        await self.take(caller)
        try:
            yield
        finally:
            self.pass_on()

    async def take(self, caller: Hashable) -> None:
        """Have the lock from now on, until ``pass_on``."""
        if self._is_held:
            await self._wait(caller)
        self._is_held = True

    async def _wait(self, caller: Hashable) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was this one's turn already
                self.pass_on()
            raise

    def pass_on(self) -> None:
        """Give the lock to the next caller, whose others wait behind all other callers' then."""
        while self._waiting:
            caller = next(iter(self._waiting))
            places = self._waiting.pop(caller)
            place = places.popleft()
            if places:
                self._waiting[caller] = places
            if not place.done():
                place.set_result(None)
                return
        self._is_held = False
