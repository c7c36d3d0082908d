"""``cardctl pin``: the state of the PIN, without spending a try."""

from __future__ import annotations

from cardd.cli.commands.cards import remark
from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table
from cardd.client import Card


def arguments(parser: Parser) -> None:
    """``pin status``."""
    parser.branches("action")("status", parser.words("pin.status"))


async def run(context: Context) -> int:
    """Ask each card."""
    async with context.client() as cardd:
        cards = await cardd.cards(pin=True)
    heads = [context.words(f"pin.{column}") for column in ("card", "reader", "state", "tries", "length")]
    rows = [[card.id, card.reader, *_pin(context, card)] for card in cards]
    context.answer({"cards": cards}, table(heads, rows) if rows else [context.words("cards.none")])
    return Exit.OK


def _pin(context: Context, card: Card) -> list[str]:
    if card.pin is None:
        return [remark(context, card) or "–", "–", "–"]
    pin = card.pin
    tries = "–" if pin.tries_left is None else str(pin.tries_left)
    length = str(pin.minimum) if pin.minimum == pin.maximum else f"{pin.minimum}–{pin.maximum}"
    return [context.words(f"pin.{pin.state}"), tries, length]
