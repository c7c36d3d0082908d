"""Commands that wait: for a person at a dialog, with the time left, for a program, or until they are told to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cardd.cli.command import Context
from cardd.errors import CarddError
from cardd.i18n import N_, Domain
from cardd.model import Event

if TYPE_CHECKING:
    from cardd.client import CarddClient

_ = Domain("cli")

TICK = 1.0
LINE_MAX = 256  # bytes that are typed
YES = ("y", "yes", "o", "oui")
SILENCE = 2.0  # seconds of a command that shows nothing
HEARING = 2.0  # seconds for the first event, the daemon's hello; without it there is just no time to tell
# what is said of dialogs that come before the one that the command is for, by their topics
BEFORE = {
    "card": N_("Choose a card in the window that opens."),
    "last_try": N_("One PIN try is left: say in the window that opens whether to risk it."),
}

ON_KEYPAD = N_("Enter your PIN on the reader's keypad; the window says what it is for.")


@asynccontextmanager
async def waiting(
    context: Context, sentence: str, cardd: CarddClient, until: datetime | None = None
) -> AsyncIterator[None]:
    """Say what a dialog of ours is for while it is open; where somebody watches, with the time left.

    ``until`` is when the wait ends that has begun already; without it, the daemon's events tell when a dialog opens:
    what is refused before has none.
    """
    line = _Line(context, sentence, until)
    tasks = [asyncio.ensure_future(line.tick())] if context.terminal.is_watched else []
    if until is None:
        tasks.append(asyncio.ensure_future(line.follow(cardd)))
        await line.listens()
    else:
        line.show(sentence)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        line.show("")


async def until_told(work: Coroutine[None, None, None]) -> None:
    """Run until SIGINT or SIGTERM, or until the work ends: Ctrl-C is how such a command ends well."""
    running = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait((running,))
    if not running.cancelled():
        await running


def can_ask(context: Context) -> bool:
    """Return whether somebody sits at a terminal, and sees what is asked."""
    return not context.wants_json and sys.stdin.isatty() and context.terminal.is_watched


async def typed(context: Context, prompt: str) -> str:
    """Return the line that is typed behind the prompt on this process's terminal."""
    keyboard = sys.stdin.fileno()
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    context.terminal.rewrite(prompt)
    loop.add_reader(keyboard, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(keyboard)
    return os.read(keyboard, LINE_MAX).decode("ascii", "replace").strip()


async def agreed(context: Context, question: str) -> bool:
    """Return whether the person at the terminal answers the question with a yes."""
    return (await typed(context, question)).casefold() in YES


async def said_by(
    process: asyncio.subprocess.Process, seconds: float, given: bytes | None = None
) -> tuple[bytes, bytes]:
    """Return what a program says, on both of its outputs; one that takes longer is killed. Raises TimeoutError."""
    try:
        async with asyncio.timeout(seconds):
            return await process.communicate(given)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


async def patiently(context: Context, work: Coroutine[None, None, int], after: float = SILENCE) -> int:
    """Do the work; whoever watches is told that it goes on when nothing was shown for a while."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.wait({running}, timeout=after)
        if not running.done() and context.terminal.is_watched and not context.terminal.has_spoken:
            context.terminal.pass_by(_("Still waiting for an answer…", context.language))
        return await running
    finally:
        running.cancel()
        context.terminal.tell([])  # what was shown in passing goes


class _Line:
    """What is waited for: one line on a terminal, written again every second; elsewhere each sentence once."""

    def __init__(self, context: Context, sentence: str, until: datetime | None) -> None:
        self._context = context
        self._sentence = sentence
        self._until = until
        self._shown = self._told_last = ""
        self._heard = asyncio.Event()

    def show(self, sentence: str) -> None:
        """Say this from now on; an empty sentence: nothing."""
        self._shown = sentence
        if self._context.terminal.is_watched:
            self._write()
        elif sentence and sentence != self._told_last:
            self._told_last = sentence
            self._context.terminal.tell([sentence])

    async def listens(self) -> None:
        """Return when the daemon's events come in: a dialog that opened before them would not be told."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), HEARING)

    async def tick(self) -> None:
        """Count down while something is said."""
        while True:
            await asyncio.sleep(TICK)
            if self._shown:
                self._write()

    async def follow(self, cardd: CarddClient) -> None:
        """Learn from the daemon when a dialog of ours waits, opens and closes; without that, there is one all along."""
        try:
            async for event in cardd.events():
                self._heard.set()
                self._told(event)
        except CarddError:
            self.show(self._sentence)
        self._heard.set()

    def _told(self, event: Event) -> None:
        language = self._context.language
        timeout = event.data.get("timeout")
        if event.type == "prompt.opened":
            self._until = datetime.now(UTC) + timedelta(seconds=timeout) if isinstance(timeout, int) else None
            before = ON_KEYPAD if event.data.get("keypad") else BEFORE.get(str(event.data.get("topic")))
            self.show(_(before, language) if before else self._sentence)
        elif event.type == "prompt.waiting":
            self._until = None
            ahead = event.data.get("ahead")
            self.show(
                _.plural(
                    "Another dialog is open for you; this one comes after it.",
                    "{number} other dialogs are for you first; this one comes after them.",
                    ahead if isinstance(ahead, int) else 1,
                    language,
                )
            )
        elif event.type == "prompt.closed":
            self._until = None
            self.show("")

    def _write(self) -> None:
        time = ""
        if self._shown and self._until:
            seconds = round((self._until - datetime.now(UTC)).total_seconds())
            time = " " + _("({seconds} s left)", self._context.language, seconds=max(0, seconds))
        self._context.terminal.rewrite(self._shown + time)
