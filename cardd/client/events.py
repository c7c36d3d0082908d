"""The daemon's events, as server-sent events; a lost connection is made again.

Source: HTML standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from msgspec.json import decode

from cardd.backoff import BackOff
from cardd.client.transport import Transport
from cardd.errors import DaemonUnreachable
from cardd.model import Event

PATH = "/v1/events"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0  # seconds between two attempts to find the daemon again


class Lines(Protocol):
    """A stream of lines, without end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the lines, each with its end."""
        ...


async def follow(transport: Transport, bearer: str | None) -> AsyncGenerator[Event, None]:
    """Yield every event; the first after each connection is ``hello``, which has the present readers and cards.

    Raises DaemonUnreachable when there is no daemon at first, and what the daemon refuses with. A daemon that went
    later is waited for: an event may be missed then, and ``hello`` tells how things stand.
    """
    back_off, is_found = BackOff(FIRST_PAUSE, LONGEST_PAUSE), False
    while True:
        try:
            async with transport.stream("GET", PATH, bearer=bearer) as lines:
                async for event in parse(lines):
                    is_found = True
                    back_off.reset()
                    yield event
        except DaemonUnreachable:
            if not is_found:
                raise
        is_found = True
        await asyncio.sleep(back_off.pause())


async def parse(lines: Lines) -> AsyncIterator[Event]:
    """Yield the events of one stream; what is no event of cardd is left out."""
    kind, data = "", ""
    async for line in lines:
        field, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data += value
        elif not field and not value:
            if event := _event(kind, data):
                yield event
            kind, data = "", ""


def _event(kind: str, data: str) -> Event | None:
    try:
        return Event(kind, decode(data, type=dict)) if kind else None
    except (ValueError, RecursionError):
        return None
