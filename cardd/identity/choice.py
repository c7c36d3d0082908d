"""Which card serves a request: the one that it names, the only one there, or the one that the user picks.

A program that names none gets the list of those that could serve, to show its own choice; one that leaves the choice to
the user says so.
"""

from __future__ import annotations

import contextlib
from itertools import cycle

from cardd.core.readers import InsertedCard, Readers
from cardd.errors import CardAmbiguous, CarddError, ConsentRefused, PromptUnavailable
from cardd.identity.cpx import identity_of
from cardd.model import Caller, Choice, Question
from cardd.ports import Prompter

ASK = "ask"  # in the place of a card's identifier


class CardChoice:
    """Asks the user where several cards can serve, if the request wants that."""

    def __init__(self, readers: Readers, prompter: Prompter) -> None:
        self._readers = readers
        self._prompter = prompter

    async def choose(self, caller: Caller, card_id: str | None) -> InsertedCard:
        """The card to use. Raises what ``Readers.choose`` raises; ConsentRefused when the user takes none of them.

        CardAmbiguous is raised for a request that names none and leaves no choice to the user, and where nobody can be
        asked.
        """
        if card_id != ASK:
            return self._readers.choose(card_id)
        try:
            return self._readers.choose(None)
        except CardAmbiguous as several:
            try:
                return await self._pick(caller, several.cards)
            except PromptUnavailable:
                raise several from None

    async def _pick(self, caller: Caller, cards: tuple[str, ...]) -> InsertedCard:
        for identifier in cycle(cards):
            card = self._readers.choose(identifier)
            params: dict[str, str | int] = {"client": caller.name, "card": card.kind.value, "reader": card.reader}
            params |= await _holder(card)
            question = Question("card", caller.peer.uid, params, third=Choice.ANOTHER, caller=caller.id)
            match await self._prompter.confirm(question):
                case Choice.NO:
                    raise ConsentRefused
                case Choice.ANOTHER:
                    continue
                case _:
                    return self._readers.choose(identifier)
        raise CardAmbiguous(cards)


async def _holder(card: InsertedCard) -> dict[str, str | int]:
    """Whose card it is, for the person who is asked and nobody else; two cards of a kind look alike without it."""
    with contextlib.suppress(CarddError):
        for certificate in await card.access.certificates():
            identity = identity_of(certificate.der)
            return {"holder": f"{identity.given_name} {identity.family_name}".strip() or identity.national_id}
    return {}
