"""``cardctl status``: whether the daemon answers, and whether we are logged in."""

from __future__ import annotations

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.holders import shown
from cardd.cli.parser import Parser
from cardd.cli.terminal import pairs
from cardd.client import CarddClient, Method, SessionState
from cardd.errors import ClientUnknown, SessionError


def arguments(parser: Parser) -> None:
    """None of its own."""


async def run(context: Context) -> int:
    """Ask for both."""
    async with context.client() as cardd:
        status = await cardd.status()
        session = await _session(context, cardd)
        methods = await _methods(cardd)
    lines = [
        (context.words("status.daemon"), f"{status.name} {status.version}"),
        (context.words("status.where"), str(cardd.where)),
        (context.words("status.readers"), context.words(f"status.{status.state}")),
        (context.words("status.session"), described(context, session) if session else context.words("status.none")),
    ]
    lines += [(context.words(f"status.{method.method}"), _method(context, method)) for method in methods]
    answer = {"daemon": status, "where": str(cardd.where), "session": session, "methods": methods}
    context.answer(answer, pairs(lines))
    return Exit.OK


async def _methods(cardd: CarddClient) -> tuple[Method, ...]:
    """The ways to log in; over TCP they are for paired programs only."""
    try:
        return (await cardd.methods()).methods
    except ClientUnknown:
        return ()


def _method(context: Context, method: Method) -> str:
    """Whether a way to log in is open, and the certificates that end soon."""
    warnings = [
        context.words("status.expiring" if one.days >= 0 else "status.expired", serial=one.serial, days=abs(one.days))
        for one in method.expiring
    ]
    return " ".join([context.words("status.usable") if method.usable else method.detail or "", *warnings])


async def _session(context: Context, cardd: CarddClient) -> SessionState | None:
    kept = context.kept.session
    if kept is None:
        return None
    try:
        return await cardd.session(*kept).state()
    except SessionError:
        return None


def described(context: Context, session: SessionState) -> str:
    """A session in a few words."""
    return context.words(
        "status.open",
        holder=shown(context, session.identity),
        state=context.words(f"sessions.{session.state}"),
        until=session.expires_at.astimezone().strftime("%H:%M"),
    )
