"""``cardctl status``: whether the daemon answers, and whether we are logged in."""

from __future__ import annotations

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.holders import shown
from cardd.cli.parser import Parser
from cardd.cli.terminal import pairs
from cardd.client import CarddClient, SessionState
from cardd.errors import SessionError


def arguments(parser: Parser) -> None:
    """None of its own."""


async def run(context: Context) -> int:
    """Ask for both."""
    async with context.client() as cardd:
        status = await cardd.status()
        session = await _session(context, cardd)
    lines = [
        (context.words("status.daemon"), f"{status.name} {status.version}"),
        (context.words("status.where"), str(cardd.where)),
        (context.words("status.readers"), context.words(f"status.{status.state}")),
        (context.words("status.session"), described(context, session) if session else context.words("status.none")),
    ]
    context.answer({"daemon": status, "where": str(cardd.where), "session": session}, pairs(lines))
    return Exit.OK


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
