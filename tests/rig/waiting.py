"""Waiting for something that no event tells of, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT = 10.0
STEP = 0.002


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once the condition holds. Raises TimeoutError when it does not within ten seconds."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - what is watched lives on another thread or process
            await asyncio.sleep(STEP)
