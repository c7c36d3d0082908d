"""Documents that are handed over before they are signed, so that no request holds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cardd.client import Session
from cardd.errors import CarddError

HandOver = Callable[[Path], Awaitable[str]]
"""Hands a file over, and gives the identifier that the session holds it under."""


@asynccontextmanager
async def handing_over(session: Session) -> AsyncIterator[HandOver]:
    """Have the session forget what was handed over inside where that fails: another try hands it over again."""
    held: list[str] = []

    async def hand_over(file: Path) -> str:
        with file.open("rb") as content:
            held.append((await session.hand_over(content)).id)
        return held[-1]

    try:
        yield hand_over
    except (CarddError, OSError):
        for identifier in held:
            with suppress(CarddError):  # the session may have ended, and they with it
                await session.drop(identifier)
        raise
