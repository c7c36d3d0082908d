"""Cards that cardd knows and must not use: told apart from unknown ones, so that the user reads what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cardd.driver import Card, Channel
from cardd.errors import CardError, CardIsVitale, CardUnrecognised
from cardd.model import CardKind


@dataclass(frozen=True, slots=True)
class UnusableCard:
    """A family of cards by its ATR (a regular expression over its hex digits); ``refusal`` is what opening raises."""

    atr: re.Pattern[str]
    kind: CardKind
    refusal: type[CardError]

    def has(self, atr: bytes) -> bool:
        """Whether a card with this ATR is of the family."""
        return self.atr.fullmatch(atr.hex().upper()) is not None


# Source: the card facts (pcsc-tools' list).
UNUSABLE = (
    UnusableCard(re.compile("3B751300004[3-9BC]09EA9000"), CardKind.VITALE, CardIsVitale),
    UnusableCard(re.compile("3B751300004509FA9000"), CardKind.VITALE, CardIsVitale),
    UnusableCard(re.compile("3F6525002[2C]09[F6]99000"), CardKind.VITALE, CardIsVitale),
    UnusableCard(re.compile("3F652500(52|A[34])096A9000"), CardKind.VITALE, CardIsVitale),
)


class VitaleDriver:
    """Recognises patients' cards (carte Vitale), only to refuse them."""

    name = "vitale"

    def recognise(self, atr: bytes) -> CardKind | None:
        """The kind, when the ATR is one of the table's."""
        return next((family.kind for family in UNUSABLE if family.has(atr)), None)

    def probe(self, channel: Channel) -> CardKind | None:  # noqa: ARG002 - the contract's signature
        """None: no application of a Vitale is known, and a patient's card is not talked to."""
        return None

    def open(self, channel: Channel, kind: CardKind) -> Card:
        """Always raises: CardIsVitale, or the error of the family that the card belongs to."""
        refusal = next((family.refusal for family in UNUSABLE if family.kind is kind), CardUnrecognised)
        raise refusal(atr=channel.atr.hex().upper())
