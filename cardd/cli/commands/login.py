"""``cardctl login``, ``logout`` and ``sessions``: the session that later commands use, and all others of this user.

``login`` pairs cardctl first where it must. An e-CPS login shows the two digits or opens the page, counts the time
left, and sends the request to the mobile again when asked.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec.structs import asdict

from cardd.cli.command import Command, Context
from cardd.cli.failures import sentences
from cardd.cli.parser import Exit, Parser
from cardd.cli.terminal import large_digits, open_in_browser, table
from cardd.cli.waiting import waiting
from cardd.cli.wording import session_in_words, state_in_words
from cardd.client import Acting, CarddClient, Pairing, PscLogin, Session, SessionState
from cardd.errors import CarddError, ClientLocked, ClientUnknown, InvalidRequest, SessionError
from cardd.i18n import N_, Domain

_ = Domain("cli")

ACTING = {
    "national_id": N_("national identifier with its type prefix (8… for RPPS)"),
    "family_name": N_("family name"),
    "given_name": N_("given name"),
    "profession": N_("profession code (table G15)"),
    "specialty": N_("savoir-faire code (table R01)"),
}
REQUIRED = ("national_id", "family_name", "given_name")
HEADS = (N_("SESSION"), N_("OPENED BY"), N_("HOLDER"), N_("STATE"), N_("UNTIL"))
PROGRAM = ("cardctl", "cardd", "cardctl")  # name, vendor and software identifier
PERMISSIONS = ("sessions",)
AGAIN = "r"
DIGITS = N_("Digits to compare on the mobile: {digits}")
DIGITS_ANEW = N_("New digits to compare on the mobile: {digits}. The ones before are worth nothing any more.")


def _login_arguments(parser: Parser) -> None:
    """Declare the method, and which card or person it is for."""
    parser.add_argument(
        "--method",
        choices=("cpx", "csa", "ecps"),
        default="cpx",
        help=N_("cpx: a card; csa: the organisation's certificate; ecps: the mobile"),
    )
    parser.add_argument("--card", metavar="ID", help=N_("which card, when several are inserted"))
    parser.add_argument(
        "--assertions",
        action="store_true",
        help=N_("also agree now to assertions for the DMP and INSi, or to no session at all"),
    )
    parser.add_argument(
        "--login-hint", metavar="ID", help=N_("for ecps, the person's national identifier (8… for RPPS)")
    )
    parser.add_argument(
        "--remember",
        action="store_true",
        help=N_("for ecps, offer to remember the national identifier for the next times"),
    )
    parser.add_argument(
        "--browser", action="store_true", help=N_("for ecps, log in on Pro Santé Connect's page, in the browser")
    )
    parser.add_argument(
        "--channel", choices=("card", "mobile"), help=N_("for ecps, Pro Santé Connect's parameter channel")
    )
    parser.add_argument(
        "--situation",
        metavar="ID",
        default="ask",
        help=N_("for ecps, the situation of practice (1.2); you are asked where there are several"),
    )
    acting = parser.add_argument_group(N_("for csa, the professional for whom you act"))
    for name, meaning in ACTING.items():
        acting.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=meaning)
    parser.gives = {"remember_login_hint": "remember", "flow": "browser", **{f"acting.{name}": name for name in ACTING}}


async def _login(context: Context) -> int:
    """Pair, log in, and remember the session."""
    async with context.client(context.remembered.secret) as cardd:
        if cardd.secret is None:
            await _pair(context, cardd)
        try:
            session = await _opened(context, cardd)
        except ClientUnknown:  # unpaired meanwhile
            await _pair(context, cardd)
            session = await _opened(context, cardd)
        former = context.remembered.session
        context.remembered.remember_session(session.id, session.token)
        if former:  # it would stay open without anybody to close it
            with suppress(CarddError):
                await cardd.session(*former).close()
    if session.opened:
        context.answer(_shown(session.opened), [session_in_words(context, session.opened)])
    return Exit.OK


async def _opened(context: Context, cardd: CarddClient) -> Session:
    if context.arguments.method == "ecps":
        return await _through_psc(context, cardd)
    async with waiting(context, _("Enter your PIN in the window that opens.", context.language), cardd):
        method, acting = context.arguments.method, _acting(context)
        card = context.arguments.card or ("ask" if method == "cpx" else None)
        return await cardd.login(method, card=card, acting=acting, assertions=context.arguments.assertions)


def _acting(context: Context) -> Acting | None:
    """Return for whom the organisation acts. Raises InvalidRequest when somebody is named by halves."""
    given = {name: getattr(context.arguments, name) for name in ACTING}
    if not any(given.values()):
        return None
    for name in REQUIRED:
        if not given[name]:
            raise InvalidRequest(where=f"--{name.replace('_', '-')}", why="missing")
    return Acting(**given)


async def _pair(context: Context, cardd: CarddClient) -> None:
    """Show the code, and wait for the user with the time left."""
    shown: asyncio.Future[Pairing] = asyncio.get_running_loop().create_future()
    pairing = asyncio.ensure_future(cardd.pair(*PROGRAM, permissions=PERMISSIONS, on_code=shown.set_result))
    await asyncio.wait((shown, pairing), return_when=asyncio.FIRST_COMPLETED)
    if shown.done():
        context.terminal.tell([_("Code: {code}", context.language, code=shown.result().code)])
        async with waiting(
            context,
            _("Accept cardctl in the window that opens, if it shows this code.", context.language),
            cardd,
            shown.result().expires_at,
        ):
            await pairing
    paired = await pairing
    context.remembered.remember_client(paired.client_id, paired.client_secret)


def _shown(opened: SessionState) -> dict[str, object]:
    """Return what is told of the session: all but its token."""
    return {name: value for name, value in asdict(opened).items() if name != "token"}


# --- e-CPS, through Pro Santé Connect


async def _through_psc(context: Context, cardd: CarddClient) -> Session:
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
    """Show the digits or open the page; return the sentence to wait with."""
    state = session.opened
    if state and state.start_url:
        open_in_browser(state.start_url)
        context.terminal.tell([_("Login page: {url}", context.language, url=state.start_url)])
        return _("Log in in the browser.", context.language)
    if not (state and state.binding_message):
        return _("Pick your situation of practice in the window that opens.", context.language)
    _show(context, state.binding_message, DIGITS_ANEW if again else DIGITS)
    if sys.stdin.isatty():
        return _("Agree in the e-CPS app (r and Enter: send again).", context.language)
    return _("Agree in the e-CPS app.", context.language)


def _show(context: Context, digits: str, sentence: str) -> None:
    """Show the sentence with the digits and, where somebody watches, the digits once more, large."""
    terminal = context.terminal
    terminal.tell([_(sentence, context.language, digits=terminal.styled(digits, "bold", err=True))])
    if terminal.is_watched:
        terminal.tell(terminal.styled(line, "bold", err=True) for line in large_digits(digits, terminal.err.encoding))


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


# --- logout and sessions


def _logout_arguments(parser: Parser) -> None:
    """Declare what else is to be forgotten."""
    parser.add_argument(
        "--forget-login-hint", action="store_true", help=N_("also forget the national identifier kept for e-CPS")
    )


async def _logout(context: Context) -> int:
    """Close the session; without one, or where it ended by itself, there is nothing to do."""
    if context.arguments.forget_login_hint:
        async with context.client() as cardd:
            await cardd.forget_login_hint()
        if context.remembered.session is None:
            context.answer({"closed": None}, [_("The national identifier is forgotten.", context.language)])
            return Exit.OK
    found = context.remembered.session
    if found is None:
        context.answer({"closed": None}, [_("No session is open: there is nothing to close.", context.language)])
        return Exit.NO_SESSION
    async with context.client() as cardd:
        with suppress(SessionError):
            await cardd.session(*found).close()
    context.remembered.forget_session()
    context.answer({"closed": found[0]}, [_("The session is closed.", context.language)])
    return Exit.OK


def _sessions_arguments(parser: Parser) -> None:
    """Declare ``sessions list`` and ``sessions close``."""
    branch = parser.branches("action", required=False)
    branch("list", N_("list them"))
    close = branch("close", N_("close one"))
    close.add_argument("id", metavar="ID", help=N_("the session's identifier"))


async def _sessions(context: Context) -> int:
    """List the open sessions of this user, whichever program opened them, or close one."""
    if context.arguments.action == "close":
        async with context.client() as cardd:
            await cardd.close_session(context.arguments.id)
        context.answer({"closed": context.arguments.id}, [_("The session is closed.", context.language)])
        return Exit.OK
    sessions = await _every_session(context)
    heads = [_(head, context.language) for head in HEADS]
    rows = [
        [
            session.id,
            session.client,
            f"{session.identity.given_name} {session.identity.family_name}".strip(),  # cardctl may not be paired
            state_in_words(context, session.state),
            session.expires_at.astimezone().strftime("%H:%M"),
        ]
        for session in sessions
    ]
    context.answer({"sessions": sessions}, table(heads, rows) if rows else [_("No open session.", context.language)])
    return Exit.OK


async def _every_session(context: Context) -> tuple[SessionState, ...]:
    """Return the open sessions of this user; whom those of other programs stand for only where cardctl is paired."""
    with suppress(ClientUnknown, ClientLocked):
        async with context.client(context.remembered.secret) as cardd:
            return await cardd.sessions()
    async with context.client() as cardd:
        return await cardd.sessions()


COMMANDS = {
    "login": Command(_login, _login_arguments),
    "logout": Command(_logout, _logout_arguments),
    "sessions": Command(_sessions, _sessions_arguments),
}
