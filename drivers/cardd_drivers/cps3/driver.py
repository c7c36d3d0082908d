"""How a CPS3 is recognised and opened."""

from __future__ import annotations

from cardd.driver import Card, Channel
from cardd.errors import CardRefused
from cardd.model import CardKind
from cardd_drivers.cps3 import atr as known
from cardd_drivers.cps3.card import Cps3Card
from cardd_drivers.cps3.commands import AID
from cardd_drivers.pkcs15.files import Files


class Cps3Driver:
    """The driver of CPS3 cards in contact mode."""

    name = "cps3"

    def recognise(self, atr: bytes) -> CardKind | None:
        """CPS3 for its exact contact ATR; None for every other, the other generations' included."""
        return CardKind.CPS3 if atr == known.CONTACT else None

    def probe(self, channel: Channel) -> CardKind | None:
        """CPS3 when the card has the contact application, unless its ATR is known to be another generation's."""
        if channel.atr in known.OTHERS:
            return None
        try:
            Files(channel).select_application(AID)
        except CardRefused:
            return None
        return CardKind.CPS3

    def open(self, channel: Channel, kind: CardKind) -> Card:
        """Read the directories. Raises CardIncomplete, CardGarbled, CardRefused."""
        return Cps3Card(channel, kind)
