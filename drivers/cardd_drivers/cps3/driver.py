"""How a CPS3 is recognised and opened."""

from __future__ import annotations

from cardd.driver import Card, Channel
from cardd.errors import CardRefused
from cardd.model import CardKind
from cardd_drivers.cps3.atr import is_cpx, kind_of
from cardd_drivers.cps3.card import Cps3Card
from cardd_drivers.cps3.commands import AID
from cardd_drivers.cps3.contactless import Cps3ContactlessCard
from cardd_drivers.pkcs15.files import Files

CARDS = {CardKind.CPS3: Cps3Card, CardKind.CPS3_CONTACTLESS: Cps3ContactlessCard}


class Cps3Driver:
    """The driver of CPS3 cards, inserted or read without contact."""

    name = "cps3"

    def recognise(self, atr: bytes) -> CardKind | None:
        """Which way the CPS3 is read; None for every other card, the other generations included."""
        kind = kind_of(atr)
        return kind if kind in CARDS else None

    def probe(self, channel: Channel) -> CardKind | None:
        """CPS3 when the card has the contact application, unless its ATR is known to be another generation's."""
        if is_cpx(channel.atr):
            return None
        try:
            Files(channel).select_application(AID)
        except CardRefused:
            return None
        return CardKind.CPS3

    def open(self, channel: Channel, kind: CardKind) -> Card:
        """Read the directories. Raises CardIncomplete, CardGarbled, CardRefused."""
        return CARDS[kind](channel, kind)
