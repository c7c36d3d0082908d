"""``cardctl sessions``: the open sessions of this user, whichever program opened them."""

from __future__ import annotations

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table


def arguments(parser: Parser) -> None:
    """List, or close one."""
    branch = parser.branches("action", required=False)
    branch("list", parser.words("sessions.list"))
    close = branch("close", parser.words("sessions.close"))
    close.add_argument("id", metavar="ID", help=parser.words("sessions.id"))


async def run(context: Context) -> int:
    """Do the one or the other."""
    async with context.client() as cardd:
        if context.arguments.action == "close":
            await cardd.close_session(context.arguments.id)
            context.answer({"closed": context.arguments.id}, [context.words("logout.done")])
            return Exit.OK
        sessions = await cardd.sessions()
    heads = [context.words(f"sessions.{column}") for column in ("column_id", "client", "holder", "state", "until")]
    rows = [
        [
            session.id,
            session.client,
            f"{session.identity.given_name} {session.identity.family_name}",
            context.words(f"sessions.{session.state}"),
            session.expires_at.astimezone().strftime("%H:%M"),
        ]
        for session in sessions
    ]
    context.answer({"sessions": sessions}, table(heads, rows) if rows else [context.words("sessions.none")])
    return Exit.OK
