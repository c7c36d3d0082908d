"""Waiting for something that no event tells of, with a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LIMIT = 30.0
STEP = 0.002


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once the condition holds. Raises TimeoutError when it does not within thirty seconds."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - what is watched lives on another thread or process
            await asyncio.sleep(STEP)


def eventually_here(condition: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait in a test without an event loop, for a program whose every look costs more. Raises AssertionError."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
