"""How a CPS4 is recognised and opened."""

from __future__ import annotations

from cardd.driver import Card, CardMemory, Channel
from cardd.errors import CardRefused
from cardd.model import CardKind
from cardd_drivers.cps3.contents import AID
from cardd_drivers.cps3.driver import is_cpx, kind_of
from cardd_drivers.cps4.card import Cps4Card, Cps4Files
from cardd_drivers.cps4.channel import LogicalChannel


class Cps4Driver:
    """The driver of CPS4 cards, whichever their protocol."""

    name = "cps4"

    def recognise(self, atr: bytes) -> CardKind | None:
        """CPS4 for the ATRs of this generation; None for every other."""
        kind = kind_of(atr)
        return kind if kind is CardKind.CPS4 else None

    def probe(self, channel: Channel) -> CardKind | None:
        """CPS4 when the card has the application on channel 1, unless its ATR is known to be another generation's."""
        if is_cpx(channel.atr):
            return None
        try:
            Cps4Files(LogicalChannel(channel)).select_application(AID)
        except CardRefused:
            return None
        return CardKind.CPS4

    def open(self, channel: Channel, kind: CardKind) -> Card:
        """Read the directories. Raises CardIncomplete, CardGarbled, CardRefused."""
        return Cps4Card(channel, kind)

    def open_known(self, channel: Channel, kind: CardKind, memory: CardMemory) -> Card:
        """Read what ``memory`` does not keep of this card. Raises as ``open`` does."""
        return Cps4Card(channel, kind, memory)
