"""A timestamp for a signature, asked of the configured authority; the network is the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from cardd.formats.timestamp import Authorities, request_for, token_of

Exchange = Callable[[bytes], Awaitable[bytes]]
"""Sends a timestamp request and gives the answer, both DER."""


class Stamper:
    """One timestamp authority."""

    def __init__(self, exchange: Exchange, authorities: Authorities, now: Callable[[], datetime]) -> None:
        self._exchange = exchange
        self._authorities = authorities
        self._now = now

    async def stamp(self, covered: bytes) -> bytes:
        """The TimeStampToken (DER) for these bytes, checked. Raises TimestampError's classes."""
        request = request_for(covered)
        answer = await self._exchange(request.der)
        return await asyncio.to_thread(token_of, answer, request, self._authorities, self._now())
