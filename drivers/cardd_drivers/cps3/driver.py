"""How a CPS3 is recognised and opened, and what the answers to reset of all CPx cards tell.

Contact cards of all generations share their historical bytes (the country, ``12 25 00``, and the beginning of the
pre-issuing data, ``64 80``) but the three that follow: only these tell the generations apart. Source: the card facts
(pcsc-tools' list and ANS).
"""

from __future__ import annotations

from cardd.driver import Card, CardMemory, Channel
from cardd.errors import CardRefused
from cardd.model import CardKind
from cardd_drivers.cps3.card import Cps3Card, Cps3ContactlessCard
from cardd_drivers.cps3.contents import AID
from cardd_drivers.pkcs15.files import Files

FAMILY = bytes.fromhex("001225006480")
GENERATIONS = {
    bytes.fromhex("820212"): CardKind.CPS2TER,
    bytes.fromhex("000310"): CardKind.CPS3,
    bytes.fromhex("000401"): CardKind.CPS4,  # T=0 only, and the release candidate
    bytes.fromhex("040100"): CardKind.CPS4,
}
CONTACTLESS = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
CONTACTLESS_FAMILY = CONTACTLESS[:16]

CARDS = {CardKind.CPS3: Cps3Card, CardKind.CPS3_CONTACTLESS: Cps3ContactlessCard}


def kind_of(atr: bytes) -> CardKind | None:
    """Return the generation of CPx that the ATR names, or the CPS3 read without contact; None for every other card."""
    if atr == CONTACTLESS:
        return CardKind.CPS3_CONTACTLESS
    _, family, rest = atr.partition(FAMILY)
    return GENERATIONS.get(rest[:3]) if family else None


def is_cpx(atr: bytes) -> bool:
    """Return whether the ATR is of a CPx, be its generation known or not.

    A CPx is not to be probed: several generations answer to one AID, so that an application found proves nothing.
    """
    return FAMILY in atr or atr.startswith(CONTACTLESS_FAMILY)


class Cps3Driver:
    """The driver of CPS3 cards, inserted or read without contact."""

    name = "cps3"

    def recognise(self, atr: bytes) -> CardKind | None:
        """Return which way the CPS3 is read; None for every other card, the other generations included."""
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

    def open_known(self, channel: Channel, kind: CardKind, memory: CardMemory) -> Card:
        """Read what ``memory`` does not keep of this card. Raises as ``open`` does."""
        return CARDS[kind](channel, kind, memory)
