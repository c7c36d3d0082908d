"""Commands that run until they are told to end: Ctrl-C is how they end well."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine


async def until_told(work: Coroutine[None, None, None]) -> None:
    """Run until SIGINT or SIGTERM, or until the work ends: a card leaves its reader then, a server its port."""
    running = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait((running,))
    if not running.cancelled():
        await running
