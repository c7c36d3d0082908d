"""``cardctl pin``: the state of the PIN, without spending a try; a new PIN, in the daemon's dialogs."""

from __future__ import annotations

from cardd.cli.commands.cards import remark
from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table
from cardd.cli.waiting import waiting
from cardd.client import Card, CarddClient
from cardd.errors import CardAbsent, CardAmbiguous


def arguments(parser: Parser) -> None:
    """``pin status``, ``pin change``, ``pin unblock``."""
    branch = parser.branches("action")
    branch("status", parser.words("pin.status"))
    for action in ("change", "unblock"):
        branch(action, parser.words(f"pin.{action}")).add_argument(
            "--card", metavar="ID", help=parser.words("pin.which")
        )


async def run(context: Context) -> int:
    """Ask each card, or change one's PIN."""
    async with context.client() as cardd:
        if context.arguments.action == "status":
            await _status(context, cardd)
        else:
            await _renew(context, cardd)
    return Exit.OK


async def _status(context: Context, cardd: CarddClient) -> None:
    cards = await cardd.cards(pin=True)
    heads = [context.words(f"pin.{column}") for column in ("card", "reader", "state", "tries", "length")]
    rows = [[card.id, card.reader, *_pin(context, card)] for card in cards]
    context.answer({"cards": cards}, table(heads, rows) if rows else [context.words("cards.none")])


async def _renew(context: Context, cardd: CarddClient) -> None:
    action = context.arguments.action
    card = context.arguments.card or await _only(cardd)
    async with waiting(context, context.words("pin.waiting"), cardd):
        await (cardd.change_pin(card) if action == "change" else cardd.unblock_pin(card))
    context.answer({"card": card}, [context.words(f"pin.{action}.done")])


async def _only(cardd: CarddClient) -> str:
    """The card, where there is one. Raises CardAbsent, CardAmbiguous."""
    cards = await cardd.cards()
    if len(cards) > 1:
        raise CardAmbiguous(tuple(card.id for card in cards))
    if not cards:
        raise CardAbsent
    return cards[0].id


def _pin(context: Context, card: Card) -> list[str]:
    if card.pin is None:
        return [remark(context, card) or "–", "–", "–"]
    pin = card.pin
    tries = "–" if pin.tries_left is None else str(pin.tries_left)
    length = str(pin.minimum) if pin.minimum == pin.maximum else f"{pin.minimum}–{pin.maximum}"
    return [context.words(f"pin.{pin.state}"), tries, length]
