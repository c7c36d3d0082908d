"""Where a card's holder practises: the data objects CPS_ACTIVITY_nn_PS, which the card gives after its PIN.

Each is a TLV EE with 84, the structure's name, 85, its Struct_IdNat, and 86, the sector's code. Source: the card facts,
section "The official middleware".
"""

from __future__ import annotations

from collections.abc import Sequence

from cardd.errors import CardGarbled
from cardd.model import Situation
from cardd.tlv import Tlv, parse_one

ACTIVITY, NAME, STRUCTURE, SECTOR = 0xEE, 0x84, 0x85, 0x86
TEXT_MAX = 128


def situations_of_card(activities: Sequence[bytes]) -> tuple[Situation, ...]:
    """One for each object, in the card's order; ``id`` is its place, from 1. Raises CardGarbled."""
    return tuple(_situation(str(place), data) for place, data in enumerate(activities, 1))


def _situation(identifier: str, data: bytes) -> Situation:
    activity = parse_one(data)
    if activity.tag != ACTIVITY:
        raise CardGarbled(what="activity")
    return Situation(
        identifier,
        structure=_text(activity.find(STRUCTURE)),
        structure_name=_text(activity.find(NAME)),
        sector=_text(activity.find(SECTOR)),
    )


def _text(found: Tlv | None) -> str | None:
    if found is None:
        return None
    text = found.value[: 4 * TEXT_MAX].decode("utf-8", "replace")
    return "".join(character for character in text[:TEXT_MAX] if character.isprintable()).strip() or None
