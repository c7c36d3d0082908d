"""``cardctl status`` and ``methods``: whether the daemon answers, whether we are logged in, and how one can log in."""

from __future__ import annotations

from collections.abc import Iterator

from cardd.cli.command import Command, Context
from cardd.cli.failures import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import pairs
from cardd.cli.wording import session_in_words
from cardd.client import CarddClient, Method, Methods, SessionState
from cardd.errors import ClientUnknown, SessionError

USES = ("lps", "webps", "establishment", "medico-social")


async def _status(context: Context) -> int:
    """Ask the daemon for its state, our session and the login methods."""
    async with context.client() as cardd:
        status = await cardd.status()
        session = await _open_session(context, cardd)
        methods = await _login_methods(cardd)
    logged_in = session_in_words(context, session) if session else context.words("status.none")
    lines = [
        (context.words("status.daemon"), f"{status.name} {status.version}"),
        (context.words("status.where"), str(cardd.where)),
        (context.words("status.readers"), context.words(f"status.{status.state}")),
        (context.words("status.session"), logged_in),
    ]
    lines += [(context.words(f"status.{method.method}"), _usable(context, method)) for method in methods]
    answer = {"daemon": status, "where": str(cardd.where), "session": session, "methods": methods}
    context.answer(answer, pairs(lines))
    return Exit.OK


async def _login_methods(cardd: CarddClient) -> tuple[Method, ...]:
    """Return the login methods; over TCP only paired programs may ask for them."""
    try:
        return (await cardd.methods()).methods
    except ClientUnknown:
        return ()


def _usable(context: Context, method: Method) -> str:
    """Return whether a login method is usable, and the certificates that end soon."""
    warnings = [
        context.words("status.expiring" if one.days >= 0 else "status.expired", serial=one.serial, days=abs(one.days))
        for one in method.expiring
    ]
    return " ".join([context.words("status.usable") if method.usable else method.detail or "", *warnings])


async def _open_session(context: Context, cardd: CarddClient) -> SessionState | None:
    found = context.remembered.session
    if found is None:
        return None
    try:
        return await cardd.session(*found).state()
    except SessionError:
        return None


def _methods_arguments(parser: Parser) -> None:
    """Declare the use, if any."""
    parser.add_argument("--use", choices=USES, help=parser.words("methods.use"))


async def _methods(context: Context) -> int:
    """Show each login method with its reasons."""
    use = context.arguments.use
    async with context.client() as cardd:
        found = await cardd.methods(use)
    lines = [line for method in found.methods for line in _shown(context, method)]
    lines += [_advised(context, found)] if use else []
    context.answer({"methods": found.methods, "advised": found.advised}, lines)
    return Exit.OK


def _shown(context: Context, method: Method) -> Iterator[str]:
    name = context.words(f"status.{method.method}")
    fit = [context.words(f"methods.{method.advice.fit}")] if method.advice else []
    here = context.words("status.usable") if method.usable else context.words("methods.unusable")
    yield f"{name}{context.words('colon')} {', '.join([*fit, here])}"
    if method.advice:
        yield from (f"  + {reason}" for reason in method.advice.reasons)
    if not method.usable:
        yield f"  ! {method.detail} {method.remedy}"
    for lacking in method.advice.missing if method.advice else ():
        other = context.words(f"status.{lacking.method}")
        yield f"  ! {other}{context.words('colon')} {lacking.detail} {lacking.remedy}"


def _advised(context: Context, found: Methods) -> str:
    if found.advised is None:
        return context.words("methods.none")
    return context.words("methods.advised", method=context.words(f"status.{found.advised}"))


COMMANDS = {"status": Command(_status), "methods": Command(_methods, _methods_arguments)}
