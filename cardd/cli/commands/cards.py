"""``cardctl cards``: what is inserted."""

from __future__ import annotations

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table
from cardd.client import Card
from cardd.i18n import text


def arguments(parser: Parser) -> None:
    """None of its own."""


async def run(context: Context) -> int:
    """List the cards; nothing is asked of them."""
    async with context.client() as cardd:
        cards = await cardd.cards()
    heads = [context.words(f"cards.{column}") for column in ("id", "reader", "kind", "remark")]
    rows = [[card.id, card.reader, card.kind.upper(), remark(context, card)] for card in cards]
    context.answer({"cards": cards}, table(heads, rows) if rows else [context.words("cards.none")])
    return Exit.OK


def remark(context: Context, card: Card) -> str:
    """Why the card cannot be used; nothing when it can."""
    if card.problem is None:
        return ""
    try:
        return text(f"{card.problem}.title", context.language)
    except KeyError:  # a newer daemon's
        return card.problem
