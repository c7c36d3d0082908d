"""Cards that cardd knows and must not use: told apart from unknown ones, so that the user reads what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from cardd.driver import Card, Channel
from cardd.errors import CardError, CardIsVitale, CardUnrecognised, CardUnsupported
from cardd.model import CardKind
from cardd_drivers.cps3.driver import kind_of

REFUSALS: Mapping[CardKind, Callable[[], CardError]] = {
    CardKind.VITALE: CardIsVitale,
    CardKind.CPS2TER: partial(CardUnsupported, kind=CardKind.CPS2TER.value.upper()),
}

# Source: the card facts (pcsc-tools' list); the second line has the older ones.
VITALE = re.compile("3B75130000(4[3-9BC]09EA|4509FA)9000|3F652500(2[2C]09[F6]9|(52|A[34])096A)9000")


class VitaleDriver:
    """Recognises patients' cards (carte Vitale) and CPS2ter cards, only to refuse them."""

    name = "vitale"

    def recognise(self, atr: bytes) -> CardKind | None:
        """Return the kind of a card to refuse, by its ATR; None for every other card."""
        if VITALE.fullmatch(atr.hex().upper()):
            return CardKind.VITALE
        kind = kind_of(atr)
        return kind if kind in REFUSALS else None

    def probe(self, channel: Channel) -> CardKind | None:  # noqa: ARG002 - the contract's signature
        """Return None: no application of these cards is known, and a patient's card is not talked to."""
        return None

    def open(self, channel: Channel, kind: CardKind) -> Card:
        """Always raises: CardIsVitale or CardUnsupported."""
        refusal = REFUSALS[kind]() if kind in REFUSALS else CardUnrecognised(atr=channel.atr.hex().upper())
        raise refusal
