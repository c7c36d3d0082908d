"""``cardctl clients``: the paired programs and the remembered web origins of this user."""

from __future__ import annotations

from cardd.cli import support_code
from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table


def arguments(parser: Parser) -> None:
    """List, or remove one."""
    branch = parser.branches("action", required=False)
    branch("list", parser.words("clients.list"))
    remove = branch("remove", parser.words("clients.remove"))
    remove.add_argument("id", metavar="ID", help=parser.words("clients.id"))
    support_code.argument(remove)


async def run(context: Context) -> int:
    """Do the one or the other."""
    async with context.client(context.kept.secret) as cardd:
        if context.arguments.action == "remove":
            identifier = context.arguments.id
            await support_code.with_code(context, lambda code: cardd.remove_client(identifier, support_code=code))
            context.answer({"removed": identifier}, [context.words("clients.removed")])
            return Exit.OK
        clients = await cardd.clients()
    heads = [context.words(f"clients.{column}") for column in ("id", "kind", "name", "vendor", "since")]
    rows = [
        [client.id, context.words(f"clients.{client.kind}"), client.name, client.vendor or "", client.since[:10]]
        for client in clients
    ]
    context.answer({"clients": clients}, table(heads, rows) if rows else [context.words("clients.none")])
    return Exit.OK
