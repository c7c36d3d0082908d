"""``cardctl readers``: the reader slots."""

from __future__ import annotations

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table


def arguments(parser: Parser) -> None:
    """None of its own."""


async def run(context: Context) -> int:
    """List them."""
    async with context.client() as cardd:
        readers = await cardd.readers()
    heads = [context.words("readers.name"), context.words("readers.card")]
    rows = [[reader.name, reader.card or "–"] for reader in readers]
    context.answer({"readers": readers}, table(heads, rows) if rows else [context.words("readers.none")])
    return Exit.OK
