"""``cardctl login --method ecps``: the two digits or the page, the time left, and the push sent again."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cardd.cli.context import Context
from cardd.cli.digits import large
from cardd.cli.failures import sentences
from cardd.cli.parser import Parser
from cardd.cli.waiting import waiting
from cardd.client import CarddClient, PscLogin, Session
from cardd.errors import CarddError, InvalidRequest

AGAIN = "r"
HINT = "$.login_hint"


def psc_arguments(parser: Parser) -> None:
    """Who, by which way, and as what."""
    parser.add_argument("--login-hint", metavar="ID", help=parser.words("login.hint"))
    parser.add_argument("--remember", action="store_true", help=parser.words("login.remember"))
    parser.add_argument("--browser", action="store_true", help=parser.words("login.browser"))
    parser.add_argument("--channel", choices=("card", "mobile"), help=parser.words("login.channel"))
    parser.add_argument("--situation", metavar="ID", default="ask", help=parser.words("login.situation"))


async def through_psc(context: Context, cardd: CarddClient) -> Session:
    """Show what the person needs, and wait with the time left; Ctrl-C ends the login, which takes one more call.

    Raises InvalidRequest without a national id, PscDenied, PscExpired and the like.
    """
    given = context.arguments
    wanted = PscLogin(
        given.login_hint,
        "browser" if given.browser else None,
        given.channel,
        given.situation,
        True if given.remember else None,
        True if given.assertions else None,
    )
    shown: asyncio.Queue[Session] = asyncio.Queue()
    login = asyncio.ensure_future(cardd.login_through_psc(wanted, shown.put_nowait))
    try:
        again = False
        while not login.done():
            await _next(context, cardd, login, shown, again=again)
            again = True
        return await login
    except InvalidRequest as error:
        if error.params.get("where") == HINT:
            raise InvalidRequest(where="--login-hint", why="missing") from error
        raise
    finally:
        login.cancel()
        await asyncio.gather(login, return_exceptions=True)


async def _next(
    context: Context, cardd: CarddClient, login: asyncio.Future[Session], shown: asyncio.Queue[Session], *, again: bool
) -> None:
    """Show one state of the login, until the next one or its end; ``again`` where it takes another's place."""
    told = asyncio.ensure_future(shown.get())
    try:
        await asyncio.wait((told, login), return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            return
        session = told.result()
        assert session.opened is not None  # noqa: S101 - one that waits
        sentence = _tell(context, session, again=again)
        told = asyncio.ensure_future(shown.get())
        with _pressed(context, session):
            async with waiting(context, sentence, cardd, session.opened.expires_at):
                await asyncio.wait((told, login), return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            shown.put_nowait(told.result())
    finally:
        told.cancel()


def _tell(context: Context, session: Session, *, again: bool) -> str:
    """Show the digits or open the page; the sentence to wait with."""
    state = session.opened
    if state and state.authorization_url:
        _open(state.authorization_url)
        context.terminal.tell([context.words("login.page", url=state.authorization_url)])
        return context.words("login.in_browser")
    if not (state and state.binding_message):
        return context.words("login.picking")
    _show(context, state.binding_message, "login.digits_anew" if again else "login.digits")
    return context.words("login.mobile_again" if sys.stdin.isatty() else "login.mobile")


def _show(context: Context, digits: str, sentence: str) -> None:
    """The sentence with the digits, and where somebody watches the digits once more, large."""
    terminal = context.terminal
    terminal.tell([context.words(sentence, digits=terminal.styled(digits, "bold", err=True))])
    if terminal.is_watched:
        terminal.tell(terminal.styled(line, "bold", err=True) for line in large(digits, terminal.err.encoding))


def _open(url: str) -> None:
    """In the user's browser, where there is a desktop to show it on."""
    if any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        import webbrowser  # noqa: PLC0415 - only here

        webbrowser.open(url)


@contextmanager
def _pressed(context: Context, session: Session) -> Iterator[None]:
    """Where somebody types: a line with R has the push sent again."""
    if not sys.stdin.isatty() or session.opened is None or session.opened.binding_message is None:
        yield
        return
    loop, running = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def typed() -> None:
        if sys.stdin.readline().strip().lower() == AGAIN:
            task = asyncio.ensure_future(_again(context, session))
            running.add(task)
            task.add_done_callback(running.discard)

    loop.add_reader(sys.stdin, typed)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin)
        for task in running:
            task.cancel()


async def _again(context: Context, session: Session) -> None:
    try:
        await session.push_again()
    except CarddError as error:
        _, detail, remedy = sentences(error, context.language)
        context.terminal.tell(["", f"{detail} {remedy}"])
