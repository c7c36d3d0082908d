"""``cardctl clients``: the paired programs and the remembered web origins of this user."""

from __future__ import annotations

from collections.abc import Sequence

from cardd.cli import support_code
from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table
from cardd.client import CarddClient
from cardd.client.answers import Client


def arguments(parser: Parser) -> None:
    """List, or do something to one."""
    branch = parser.branches("action", required=False)
    branch("list", parser.words("clients.list"))
    for action in ("remove", "lock", "unlock"):
        one = branch(action, parser.words(f"clients.{action}"))
        one.add_argument("id", metavar="ID", help=parser.words("clients.id"))
        if action != "lock":  # to keep a program out must be easy
            support_code.argument(one)


async def run(context: Context) -> int:
    """Do the one or the other."""
    async with context.client(context.kept.secret) as cardd:
        match context.arguments.action:
            case "remove" | "lock" | "unlock" as action:
                done = await _act(context, cardd, action, context.arguments.id)
                context.answer({done: context.arguments.id}, [context.words(f"clients.{done}")])
            case _:
                _tell(context, await cardd.clients())
    return Exit.OK


async def _act(context: Context, cardd: CarddClient, action: str, identifier: str) -> str:
    """Do it; gives the word for what was done."""
    match action:
        case "lock":
            await cardd.lock_client(identifier)
            return "locked"
        case "unlock":
            await support_code.with_code(context, lambda code: cardd.unlock_client(identifier, support_code=code))
            return "unlocked"
        case _:
            await support_code.with_code(context, lambda code: cardd.remove_client(identifier, support_code=code))
            return "removed"


def _tell(context: Context, clients: Sequence[Client]) -> None:
    heads = [context.words(f"clients.{column}") for column in ("column_id", "kind", "name", "vendor", "since", "state")]
    rows = [_row(context, client) for client in clients]
    context.answer({"clients": clients}, table(heads, rows) if rows else [context.words("clients.none")])


def _row(context: Context, client: Client) -> list[str]:
    kind, state = context.words(f"clients.{client.kind}"), context.words("clients.is_locked") if client.locked else ""
    return [client.id, kind, client.name, client.vendor or "", client.since[:10], state]
