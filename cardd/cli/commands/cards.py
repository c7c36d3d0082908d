"""``cardctl readers``, ``cards`` and ``pin``: what is inserted, and the state of each card's PIN.

Neither costs a try. A new PIN is typed in the daemon's dialogs.
"""

from __future__ import annotations

from cardd.cli.command import Command, Context
from cardd.cli.parser import Exit, Parser
from cardd.cli.terminal import table
from cardd.cli.waiting import waiting
from cardd.cli.wording import problem_in_words, word_for
from cardd.client import Card, CarddClient
from cardd.errors import CardAbsent, CardAmbiguous
from cardd.i18n import N_, Domain
from cardd.model import CardKind

_ = Domain("cli")

DONE = {"change": N_("The PIN is changed."), "unblock": N_("The PIN is unblocked and changed.")}
CARD_HEADS = (N_("CARD"), N_("READER"), N_("KIND"), N_("REMARK"))
PIN_HEADS = (N_("CARD"), N_("READER"), N_("PIN"), N_("TRIES LEFT"), N_("DIGITS"))
STATES = {"ready": N_("ready"), "last_try": N_("LAST TRY"), "blocked": N_("BLOCKED"), "unknown": N_("unknown")}


async def _readers(context: Context) -> int:
    """List the reader slots."""
    async with context.client() as cardd:
        readers = await cardd.readers()
    heads = [_("READER", context.language), _("CARD", context.language)]
    rows = [[reader.name, reader.card or "–"] for reader in readers]
    context.answer({"readers": readers}, table(heads, rows) if rows else [_("No reader.", context.language)])
    return Exit.OK


async def _cards(context: Context) -> int:
    """List the cards; nothing is asked of them."""
    async with context.client() as cardd:
        cards = await cardd.cards()
    heads = [_(head, context.language) for head in CARD_HEADS]
    rows = [[card.id, card.reader, card.kind.upper(), problem_in_words(context, card)] for card in cards]
    context.answer({"cards": cards}, table(heads, rows) if rows else [_("No card.", context.language)])
    return Exit.OK


def _pin_arguments(parser: Parser) -> None:
    """Declare ``pin status``, ``pin change``, ``pin unblock``."""
    branch = parser.branches("action")
    branch("status", N_("tries left of each inserted card; costs none"))
    change = branch("change", N_("change the PIN; the codes are typed in cardd's dialogs"))
    unblock = branch("unblock", N_("unblock the PIN with the unblocking code"))
    for action in (change, unblock):
        action.add_argument(
            "--card", metavar="ID", help=N_('the card (see "cardctl cards"); not needed when there is only one')
        )


async def _pin(context: Context) -> int:
    """Ask each card for the state of its PIN, or change one's PIN."""
    async with context.client() as cardd:
        if context.arguments.action == "status":
            await _status(context, cardd)
        else:
            await _renew(context, cardd)
    return Exit.OK


async def _status(context: Context, cardd: CarddClient) -> None:
    cards = await cardd.cards(pin=True)
    heads = [_(head, context.language) for head in PIN_HEADS]
    rows = [[card.id, card.reader, *_pin_cells(context, card)] for card in cards]
    context.answer({"cards": cards}, table(heads, rows) if rows else [_("No card.", context.language)])


async def _renew(context: Context, cardd: CarddClient) -> None:
    action = context.arguments.action
    card = context.arguments.card or await _only_card(cardd)
    async with waiting(context, _("Type the codes in the dialogs that open.", context.language), cardd):
        await (cardd.change_pin(card) if action == "change" else cardd.unblock_pin(card))
    context.answer({"card": card}, [_(DONE[action], context.language)])


async def _only_card(cardd: CarddClient) -> str:
    """Return the only card's identifier; an organisation's key file is none. Raises CardAbsent, CardAmbiguous."""
    cards = [card for card in await cardd.cards() if card.kind != CardKind.PKCS12]
    if len(cards) > 1:
        raise CardAmbiguous(tuple(card.id for card in cards))
    if not cards:
        raise CardAbsent
    return cards[0].id


def _pin_cells(context: Context, card: Card) -> list[str]:
    if card.pin is None:
        return [problem_in_words(context, card) or "–", "–", "–"]
    pin = card.pin
    tries = "–" if pin.tries_left is None else str(pin.tries_left)
    length = str(pin.minimum) if pin.minimum == pin.maximum else f"{pin.minimum}–{pin.maximum}"
    return [word_for(pin.state, STATES, context), tries, length]


COMMANDS = {"readers": Command(_readers), "cards": Command(_cards), "pin": Command(_pin, _pin_arguments)}
