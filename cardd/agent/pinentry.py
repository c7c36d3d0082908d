"""A pinentry program: how it is found and started, and one dialog with it over a conversation.

The program runs on this process's own terminal or display, or on that of an agent at the other end of the conversation.
Source: the pinentry manual, "Protocol". What pinentry does not know (an option of a newer version) it may refuse.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import termios
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cardd.agent.arming import Arming
from cardd.agent.assuan import CANCELED, FULLY_CANCELED, NOT_CONFIRMED, TIMEOUT, Assuan, Refusal
from cardd.agent.texts import (
    ACCEPT,
    BUTTONS,
    CANCEL,
    NOT_THIS,
    PAGE_BUTTONS,
    Button,
    Words,
    can_be,
    confirm_words,
    deciding,
    document_pages,
    early_answer,
    early_pin,
    notice_words,
    pin_words,
    with_buttons,
)
from cardd.errors import ConsentTimeout, PinCancelled, PinError, PinFormat, PinTimeout, PromptUnavailable
from cardd.files import stays_roots
from cardd.i18n import locale_of
from cardd.model import Choice, PinQuestion, Question
from cardd.secret import Secret
from cardd.values import Value

MOMENT, GRACE = 0.1, 1.0  # seconds that a pinentry has to end by itself, and when it is told to
ATTEMPTS_MAX = 10  # at typing what can be a PIN; a program that types for ever is no person
GRAPHICAL = ("pinentry-gnome3", "pinentry-qt", "pinentry-gtk-2", "pinentry-x11")
TEXTUAL = ("pinentry-curses", "pinentry-tty")
X_ALONE = ("pinentry-gtk-2", "pinentry-x11")  # know no Wayland
UNREADABLE = ("pinentry-fltk",)  # cuts long texts off, and its buttons with them: not all that is asked is seen


# --- the program


def find_pinentry(configured: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the program to start: the configured one, else what suits a display, else what suits a terminal.

    Only one that no program of the user can have put there is found: it sees the PIN.
    """
    if configured:
        return configured
    places = environment.get("PATH", os.defpath).split(os.pathsep)
    roots = os.pathsep.join(place for place in places if place and stays_roots(Path(place)))
    found = _in(roots, environment) if roots else ()
    return next((path for path in found if stays_roots(Path(path))), None)


def exposed_pinentry(environment: Mapping[str, str]) -> str | None:
    """Return a program that would be found if others than root could not change it, or put another in its place."""
    return next(_in(environment.get("PATH", os.defpath), environment), None)


def _in(path: str, environment: Mapping[str, str]) -> Iterator[str]:
    graphical = ("DISPLAY" in environment or "WAYLAND_DISPLAY" in environment) and GRAPHICAL
    candidates = ("pinentry", *(graphical or ()), *(TEXTUAL if own_terminal() else ()))
    useless = (*UNREADABLE, *(() if "DISPLAY" in environment else X_ALONE))
    found = filter(None, (shutil.which(name, path=path) for name in candidates))
    yield from (each for each in found if Path(each).resolve().name not in useless)


def own_terminal() -> str | None:
    """Return the terminal of this process's standard input; None when it has none."""
    with contextlib.suppress(OSError):
        return os.ttyname(0)
    return None


def options(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a pinentry must be told of where it runs.

    Our texts are UTF-8: in the user's own locale a pinentry refuses them (166) where this machine has not installed it.
    """
    told = {"lc-ctype": "C.UTF-8", "lc-messages": locale_of(environment) or "C.UTF-8"}
    terminal = own_terminal()
    if terminal:
        told |= {"ttyname": terminal, "ttytype": environment.get("TERM", "vt100")}
    return told


@asynccontextmanager
async def conversation(program: str) -> AsyncIterator[Assuan]:
    """Start the program and talk to it; it has ended when the ``with`` has. Raises PromptUnavailable."""
    async with running(program) as connection:
        talk = Assuan(connection)
        try:
            await talk.greeting()
            yield talk
        finally:
            talk.close()


@asynccontextmanager
async def running(program: str) -> AsyncIterator[socket.socket]:
    """Start the program and give the connection to it; it has ended when the ``with`` has. Raises PromptUnavailable."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, _kept_terminal():
        process = await _start(program, theirs)
        try:
            yield ours
        finally:
            ours.close()
            await _stop(process)


@contextmanager
def _kept_terminal() -> Iterator[None]:
    """Leave our terminal as it was: a pinentry that is ended while it asks leaves it without echo."""
    before = _modes()
    try:
        yield
    finally:
        if before is not None and _modes() != before:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSAFLUSH, before)


def _modes() -> list[int | list[bytes | int]] | None:
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None


async def _start(program: str, connection: socket.socket) -> asyncio.subprocess.Process:
    """Start a pinentry that speaks over this socket, which is closed here."""
    try:
        return await asyncio.create_subprocess_exec(
            program, stdin=connection.fileno(), stdout=connection.fileno(), stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise PromptUnavailable(why=f"{Path(program).name}: {error.strerror}") from error
    finally:
        connection.close()


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the program: it ends by itself when its conversation does, unless it shows a dialog."""
    try:
        if not await _ends(process, MOMENT):
            _signal(process.terminate)
            await _ends(process, GRACE)
    finally:
        _signal(process.kill)
        await process.wait()


async def _ends(process: asyncio.subprocess.Process, patience: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), patience)
        return True
    return False


def _signal(send: Callable[[], None]) -> None:
    with contextlib.suppress(ProcessLookupError):
        send()


# --- one dialog


async def set_options(talk: Assuan, options: Mapping[str, str]) -> None:
    """Tell the pinentry its terminal and locale."""
    for name, value in options.items():
        with contextlib.suppress(Refusal):
            await talk.command("OPTION", f"{name}={value}")


async def ask_pin(
    talk: Assuan, asked: PinQuestion, language: str, left: Callable[[], int], into: Secret, *, arming: Arming
) -> None:
    """Read a PIN that can be right: digits, as many as the card's PIN may have; anything else is asked again.

    ``left`` returns how many seconds there are still. Raises PinCancelled, PinTimeout, PromptUnavailable; PinFormat
    when they give up after what cannot be right.
    """
    cancelled: PinError = PinCancelled()

    async def show(is_again: bool) -> None:
        into.wipe()
        words = pin_words(asked, language, left(), format_error=isinstance(cancelled, PinFormat))
        await _show(talk, early_pin(words, language) if is_again else words, left())

    async def is_typed() -> bool:
        try:
            await talk.command("GETPIN", into=into)
        except Refusal as refusal:
            if refusal.code == TIMEOUT:
                raise PinTimeout from None
            _ensure_cancelled(refusal)
            return False
        return True

    for _ in range(ATTEMPTS_MAX):
        if not await arming.answer(show, is_typed, refused=False):
            break
        if can_be(into, asked.pin):
            return
        cancelled = PinFormat(minimum=asked.pin.minimum, maximum=asked.pin.maximum)
    into.wipe()
    raise cancelled


async def confirm(
    talk: Assuan, question: Question, language: str, left: Callable[[], int], *, arming: Arming
) -> Choice:
    """Return which button was pressed, once the person has read all the documents that they wanted to.

    Raises ConsentTimeout, PromptUnavailable.
    """
    asked, pages = deciding(question), document_pages(question, language)
    buttons = Buttons(talk, language, left, await flavor(talk), arming)
    if asked.third is Choice.SHOW and not buttons.are_three:
        if await _read_pages(buttons, pages) is Choice.NO:  # no button would show them
            return Choice.NO
        asked = question
    while True:
        choice = await buttons.choose(confirm_words(asked, language, left()), BUTTONS[asked.third])
        if choice is Choice.SHOW:
            choice = await _read_pages(buttons, pages)
        if choice is not Choice.SHOW:
            return choice


async def _read_pages(buttons: Buttons, pages: Sequence[Words]) -> Choice:
    """Show the documents page after page; SHOW when the person goes on to the question, or back to it."""
    for page in pages:
        if (choice := await buttons.choose(page, PAGE_BUTTONS)) is not Choice.YES:
            return choice
    return Choice.SHOW


async def flavor(talk: Assuan) -> str:
    """Return which pinentry this is (gnome3, qt, gtk2, curses, tty), as it says itself; empty where it does not."""
    with Secret() as told:
        try:
            await talk.command("GETINFO", "flavor", into=told)
        except Refusal:
            return ""
        with told.view() as view:
            return bytes(view).decode("ascii", "replace").rpartition(":")[2]  # gnome3:curses, without a desktop


class Buttons(Value):
    """The buttons of one pinentry, so that Enter agrees to nothing where the program lets us see to it.

    Source: pinentry 1.1.0 to 1.3.2. The qt flavor makes Cancel the default, gtk2 makes none and has Cancel in focus,
    and tty wants a letter: those are as safe as we can have them. The curses flavor begins on OK. gnome3 has two
    buttons, the first of which is the default, and Escape is the second: nothing safer can be had of it.
    """

    talk: Assuan
    language: str
    left: Callable[[], int]
    flavor: str
    arming: Arming

    @property
    def are_three(self) -> bool:
        """Whether the program shows a third button."""
        return self.flavor != "gnome3"

    async def choose(self, words: Words, buttons: Sequence[Button]) -> Choice:
        """Return which of two or three answers was given. Raises ConsentTimeout, PromptUnavailable."""
        first, *middle, last = buttons
        third = middle[0] if middle else None
        if not self.are_three:
            return await self._one_of_two(words, first, third, last)
        if self.flavor == "curses" and first.grants:
            return await self._harmless_first(words, first, third, last)
        return await self._press(words, first, third, last)

    async def _one_of_two(self, words: Words, first: Button, third: Button | None, last: Button) -> Choice:
        """Ask for another one, or for how long, in a dialog of its own; what is just for comfort is left out."""
        if third is not None and third.choice is Choice.ALWAYS:
            choice = await self._press(words, ACCEPT, None, last)
            return await self._press(words, third, None, first) if choice is Choice.YES else choice
        if third is None or third.choice is not Choice.ANOTHER:
            return await self._press(words, first, None, last)
        choice = await self._press(words, first, None, NOT_THIS)
        return await self._press(words, third, None, last) if choice is Choice.NO else choice

    async def _harmless_first(self, words: Words, first: Button, third: Button | None, last: Button) -> Choice:
        """Begin on an answer that agrees to nothing; where two agree, ask which in a second dialog."""
        if third is not None and not third.grants:
            return await self._press(words, third, first, last)
        choice = await self._press(words, last, ACCEPT, CANCEL)
        return await self._press(words, first, third, last) if third and choice is Choice.YES else choice

    async def _press(self, words: Words, ok: Button, not_ok: Button | None, cancel: Button) -> Choice:
        """Return which button was pressed."""
        shown = with_buttons(words, self.language, ok, not_ok, cancel)

        async def show(is_again: bool) -> None:
            await _show(self.talk, early_answer(shown, self.language) if is_again else shown, self.left())

        return await self.arming.answer(show, lambda: self._pressed(ok, not_ok, cancel), refused=Choice.NO)

    async def _pressed(self, ok: Button, not_ok: Button | None, cancel: Button) -> Choice:
        try:
            await self.talk.command("CONFIRM")
        except Refusal as refusal:
            if refusal.code == TIMEOUT:
                raise ConsentTimeout from None
            _ensure_cancelled(refusal)
            return (not_ok if not_ok and refusal.code == NOT_CONFIRMED else cancel).choice
        return ok.choice


async def notify(talk: Assuan, question: Question, language: str) -> None:
    """Show a message until the user closes it, or until the conversation is ended."""
    await _show(talk, notice_words(question, language), 0)
    with contextlib.suppress(Refusal):
        await talk.command("MESSAGE")


async def _show(talk: Assuan, words: Words, seconds: int) -> None:
    settings = {
        "SETTIMEOUT": str(seconds) if seconds else "",
        "SETTITLE": words.title,
        "SETDESC": words.description,
        "SETPROMPT": words.prompt,
        "SETERROR": words.error,
        "SETOK": words.ok,
        "SETNOTOK": words.not_ok,
        "SETCANCEL": words.cancel,
    }
    for name, value in settings.items():
        if value:
            with contextlib.suppress(Refusal):
                await talk.command(name, value)


def _ensure_cancelled(refusal: Refusal) -> None:
    """Raises PromptUnavailable for any refusal but the user's no: the dialog could not be shown."""
    if refusal.code not in (CANCELED, FULLY_CANCELED, NOT_CONFIRMED):
        raise PromptUnavailable(why=f"pinentry {refusal.code}") from None
