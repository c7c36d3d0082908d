"""What the answers to reset of CPx cards tell.

Contact cards of all generations share their historical bytes (the country, ``12 25 00``, and the beginning of the
pre-issuing data, ``64 80``) but the three that follow: only these tell the generations apart. Source: the card facts
(pcsc-tools' list and ANS).
"""

from __future__ import annotations

from cardd.model import CardKind

FAMILY = bytes.fromhex("001225006480")
GENERATIONS = {
    bytes.fromhex("820212"): CardKind.CPS2TER,
    bytes.fromhex("000310"): CardKind.CPS3,
    bytes.fromhex("000401"): CardKind.CPS4,  # T=0 only, and the release candidate
    bytes.fromhex("040100"): CardKind.CPS4,
}
CONTACTLESS = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
CONTACTLESS_FAMILY = CONTACTLESS[:16]


def kind_of(atr: bytes) -> CardKind | None:
    """The generation of CPx that the ATR names, or the CPS3 read without contact; None for every other card."""
    if atr == CONTACTLESS:
        return CardKind.CPS3_CONTACTLESS
    _, family, rest = atr.partition(FAMILY)
    return GENERATIONS.get(rest[:3]) if family else None


def is_cpx(atr: bytes) -> bool:
    """Whether the ATR is of a CPx, be its generation known or not.

    Such a card is not to be probed: several generations answer to one AID, so that an application found proves nothing.
    """
    return FAMILY in atr or atr.startswith(CONTACTLESS_FAMILY)
