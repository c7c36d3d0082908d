"""``cardctl login``: a session that later commands use; pairs cardctl first where it must."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from msgspec.structs import asdict

from cardd.cli.commands.status import described
from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.psc import psc_arguments, through_psc
from cardd.cli.waiting import waiting
from cardd.client import Acting, CarddClient, Pairing, Session, SessionState
from cardd.errors import CarddError, ClientUnknown, InvalidRequest

ACTING = ("national_id", "family_name", "given_name", "profession", "specialty")
REQUIRED = ACTING[:3]
PROGRAM = ("cardctl", "cardd", "cardctl")  # name, vendor and software identifier


def arguments(parser: Parser) -> None:
    """How, and with which card or for whom."""
    parser.add_argument("--method", choices=("cpx", "csa", "ecps"), default="cpx", help=parser.words("login.method"))
    parser.add_argument("--card", metavar="ID", help=parser.words("login.card"))
    parser.add_argument("--assertions", action="store_true", help=parser.words("login.assertions"))
    psc_arguments(parser)
    acting = parser.add_argument_group(parser.words("login.acting"))
    for name in ACTING:
        acting.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=parser.words(f"login.{name}"))


async def run(context: Context) -> int:
    """Pair, log in, and keep the session."""
    kept = context.kept
    async with context.client(kept.secret) as cardd:
        await _close_kept(context, cardd)
        if cardd.secret is None:
            await _pair(context, cardd)
        try:
            session = await _login(context, cardd)
        except ClientUnknown:  # unpaired meanwhile
            await _pair(context, cardd)
            session = await _login(context, cardd)
    kept.keep_session(session.id, session.token)
    if session.opened:
        context.answer(_shown(session.opened), [described(context, session.opened)])
    return Exit.OK


async def _login(context: Context, cardd: CarddClient) -> Session:
    if context.arguments.method == "ecps":
        return await through_psc(context, cardd)
    async with waiting(context, context.words("login.waiting"), cardd):
        method, acting = context.arguments.method, _acting(context)
        card = context.arguments.card or ("ask" if method == "cpx" else None)
        return await cardd.login(method, card=card, acting=acting, assertions=context.arguments.assertions)


def _acting(context: Context) -> Acting | None:
    """For whom the organisation acts. Raises InvalidRequest when somebody is named by halves."""
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
    pairing = asyncio.ensure_future(cardd.pair(*PROGRAM, on_code=shown.set_result))
    await asyncio.wait((shown, pairing), return_when=asyncio.FIRST_COMPLETED)
    if shown.done():
        context.terminal.tell([context.words("login.code", code=shown.result().code)])
        async with waiting(context, context.words("login.pairing"), cardd, shown.result().expires_at):
            await pairing
    paired = await pairing
    context.kept.keep_client(paired.client_id, paired.client_secret)


async def _close_kept(context: Context, cardd: CarddClient) -> None:
    """One session is kept: the one before it must not stay open without anybody to close it."""
    before = context.kept.session
    if before:
        context.kept.forget_session()
        with suppress(CarddError):
            await cardd.session(*before).close()


def _shown(opened: SessionState) -> dict[str, object]:
    """What is told of the session: all but its token."""
    return {name: value for name, value in asdict(opened).items() if name != "token"}
