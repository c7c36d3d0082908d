"""Questions on the terminal that this process was started from, where no pinentry is installed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cardd.agent.arming import Arming
from cardd.agent.assuan import readable
from cardd.agent.texts import (
    BUTTONS,
    PAGE_BUTTONS,
    Button,
    Words,
    can_be,
    confirm_words,
    deciding,
    document_pages,
    early_answer,
    early_pin,
    keyed_words,
    notice_words,
    pin_words,
)
from cardd.errors import (
    CarddError,
    ConsentTimeout,
    PinCancelled,
    PinError,
    PinFormat,
    PinTimeout,
    PromptUnavailable,
)
from cardd.i18n import Domain
from cardd.model import Choice, PinQuestion, Question
from cardd.secret import Secret

_ = Domain("dialogs")

TERMINAL = "/dev/tty"
KEY = 1  # place of the key in “[y] Accept”
NEWLINE = ord("\n")
NOTICE = 5.0  # seconds for a terminal to take a message that needs no answer
ECHO_FLAGS = 3  # place of the local modes in what tcgetattr gives


def has_terminal() -> bool:
    """Return whether this process was started from one."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class TerminalPrompter:
    """Plain lines on ``/dev/tty``; the PIN is typed without echo and read straight into its page."""

    def __init__(self, language: str, arming: Arming) -> None:
        self._language = language
        self._arming = arming

    async def ask_pin(self, asked: PinQuestion, left: Callable[[], int], into: Secret) -> None:
        """Read a PIN that can be right; an empty line cancels.

        Raises PinCancelled, PinTimeout, PromptUnavailable; PinFormat when they give up after what cannot be right.
        """
        cancelled: PinError = PinCancelled()
        with _terminal() as terminal, _silent(terminal):

            async def show(is_again: bool) -> None:
                into.wipe()
                words = pin_words(asked, self._language, left(), format_error=isinstance(cancelled, PinFormat))
                shown = early_pin(words, self._language) if is_again else words
                await _show(terminal, shown, words.prompt, left(), PinTimeout)

            async def is_typed() -> bool:
                await _read_line(terminal, into, left(), PinTimeout)
                return bool(into)

            while await self._arming.answer(show, is_typed, refused=False):
                if can_be(into, asked.pin):
                    return
                cancelled = PinFormat(minimum=asked.pin.minimum, maximum=asked.pin.maximum)
            into.wipe()
            raise cancelled

    async def confirm(self, question: Question, left: Callable[[], int]) -> Choice:
        """Return the choice by its letter; anything else is no. Raises ConsentTimeout, PromptUnavailable."""
        asked = deciding(question)
        with _terminal() as terminal:
            termios.tcflush(terminal, termios.TCIFLUSH)  # what was typed before is not taken for consent
            while True:
                words = confirm_words(asked, self._language, left())
                choice = await self._choice(terminal, words, BUTTONS[asked.third], left)
                if choice is Choice.SHOW:
                    choice = await self._read_pages(terminal, document_pages(question, self._language), left)
                if choice is not Choice.SHOW:
                    return choice

    async def _read_pages(self, terminal: int, pages: Sequence[Words], left: Callable[[], int]) -> Choice:
        for page in pages:
            if (choice := await self._choice(terminal, page, PAGE_BUTTONS, left)) is not Choice.YES:
                return choice
        return Choice.SHOW

    async def _choice(self, terminal: int, words: Words, offered: Sequence[Button], left: Callable[[], int]) -> Choice:
        buttons = {keyed_words(button, self._language): button for button in offered}
        letters = {shown[KEY]: button.choice for shown, button in buttons.items()}
        prompt = _("{answers}: ", self._language, answers=", ".join(buttons))

        async def show(is_again: bool) -> None:
            shown = early_answer(words, self._language) if is_again else words
            await _show(terminal, shown, prompt, left(), ConsentTimeout)

        async def chosen() -> Choice:
            with Secret() as line:
                await _read_line(terminal, line, left(), ConsentTimeout)
                with line.view() as typed:
                    return letters.get(bytes(typed[:1]).lower().decode("ascii", "replace"), Choice.NO)

        return await self._arming.answer(show, chosen, refused=Choice.NO)

    async def notify(self, question: Question) -> None:
        """Show a message; it needs no answer."""
        with _terminal() as terminal, contextlib.suppress(ConsentTimeout):
            await _show(terminal, notice_words(question, self._language), "", NOTICE, ConsentTimeout)


@contextmanager
def _terminal() -> Iterator[int]:
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise PromptUnavailable(why="pinentry") from error
    try:
        _ensure_ours(terminal)
        yield terminal
    except (OSError, termios.error) as error:  # it was hung up
        raise PromptUnavailable(why="pinentry") from error
    finally:
        os.close(terminal)


def _is_others(terminal: int) -> bool:
    """Return whether the terminal is another job's: who was sent to the background and uses it is stopped (SIGTTOU)."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # it is not the one that this process was started from, and nobody is stopped
        return False


def _ensure_ours(terminal: int) -> None:
    if _is_others(terminal):
        raise PromptUnavailable(why="pinentry")


@contextmanager
def _silent(terminal: int) -> Iterator[None]:
    """Type without echo; what was typed before is not taken for an answer."""
    before = termios.tcgetattr(terminal)
    silent = [*before[:ECHO_FLAGS], before[ECHO_FLAGS] & ~termios.ECHO, *before[ECHO_FLAGS + 1 :]]
    termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        if not _is_others(terminal):  # a shell has modes of its own
            with contextlib.suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


async def _show(terminal: int, words: Words, prompt: str, seconds: float, late: type[CarddError]) -> None:
    """Write a question; a terminal that takes nothing (Control-S) is waited for as an answer is."""
    lines = [words.title, words.description, words.error, prompt]
    rest = ("\r\n" + "\r\n".join(line.replace("\n", "\r\n") for line in lines if line)).encode()
    try:
        async with asyncio.timeout(seconds):
            while rest:
                _ensure_ours(terminal)
                try:
                    rest = rest[os.write(terminal, rest) :]
                except BlockingIOError:
                    await _writable(terminal)
    except TimeoutError:
        raise late from None


async def _writable(terminal: int) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(terminal, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_writer(terminal)


async def _read_line(terminal: int, into: Secret, seconds: int, late: type[CarddError]) -> None:
    """Read one line into the secret, its end left out."""
    try:
        async with asyncio.timeout(seconds):
            await readable(terminal)
    except TimeoutError:
        raise late from None
    _ensure_ours(terminal)
    with into.room() as room:
        size = os.readv(terminal, [room])
        if size and room[size - 1] == NEWLINE:
            size -= 1
    into.keep(0, size)
    with contextlib.suppress(BlockingIOError):
        os.write(terminal, b"\r\n")
