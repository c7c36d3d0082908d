"""Commands that wait: for a person at a dialog, with the time left, or until they are told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from cardd.cli.command import Context
from cardd.client import CarddClient
from cardd.errors import CarddError
from cardd.i18n import Domain

_ = Domain("cli")

TICK = 1.0
HEARING = 2.0  # seconds for the first event, the daemon's hello; without it there is just no time to tell


@asynccontextmanager
async def waiting(
    context: Context, sentence: str, cardd: CarddClient, until: datetime | None = None
) -> AsyncIterator[None]:
    """Say what is waited for; where somebody watches, with the time left.

    ``until`` is when the dialog closes; without it, the daemon's events tell.
    """
    if not context.terminal.is_watched:
        context.terminal.tell([sentence])
        yield
        return
    line = _Line(context, sentence, until)
    tasks = [asyncio.ensure_future(line.tick())]
    if until is None:
        tasks.append(asyncio.ensure_future(line.follow(cardd)))
    try:
        if until is None:
            await line.listens()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        context.terminal.rewrite("")


async def until_told(work: Coroutine[None, None, None]) -> None:
    """Run until SIGINT or SIGTERM, or until the work ends: Ctrl-C is how such a command ends well."""
    running = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait((running,))
    if not running.cancelled():
        await running


class _Line:
    """One line on the terminal, written again every second."""

    def __init__(self, context: Context, sentence: str, until: datetime | None) -> None:
        self._context = context
        self._sentence = sentence
        self._until = until
        self._ahead = 0  # dialogs that come before ours
        self._heard = asyncio.Event()

    async def listens(self) -> None:
        """Return when the daemon's events come in: a dialog that opened before them would have no time left to tell."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), HEARING)

    async def tick(self) -> None:
        """Count down while a dialog is open; until then, tell that others come before it."""
        while True:
            self._context.terminal.rewrite(self._sentence + self._standing())
            await asyncio.sleep(TICK)

    def _standing(self) -> str:
        if self._until:
            seconds = round((self._until - datetime.now(UTC)).total_seconds())
            return " " + _("({seconds} s left)", self._context.language, seconds=max(0, seconds))
        if self._ahead:
            return " " + _("(dialogs before ours: {ahead})", self._context.language, ahead=self._ahead)
        return ""

    async def follow(self, cardd: CarddClient) -> None:
        """Learn from the daemon when a dialog of ours waits, opens and closes; without that, nothing is told of it."""
        with contextlib.suppress(CarddError):
            async for event in cardd.events():
                self._heard.set()
                timeout, ahead = event.data.get("timeout"), event.data.get("ahead")
                if event.type == "prompt.waiting" and isinstance(ahead, int):
                    self._ahead = ahead
                elif event.type == "prompt.opened" and isinstance(timeout, int):
                    self._until = datetime.now(UTC) + timedelta(seconds=timeout)
                elif event.type == "prompt.closed":
                    self._until = None
        self._heard.set()
