"""Where a card's holder practises, from the card's own data objects."""

from __future__ import annotations

import pytest

from cardd.errors import CardGarbled
from cardd.identity.cpx_situations import situations_of_card
from cardd.model import Situation
from cardd.tlv import encode


def activity(**fields: bytes) -> bytes:
    """A CPS_ACTIVITY object."""
    tags = {"name": 0x84, "structure": 0x85, "sector": 0x86}
    return encode(0xEE, b"".join(encode(tags[field], value) for field, value in fields.items()))


def test_each_object_is_a_situation() -> None:
    objects = (
        activity(name="CABINET SIMULATION É".encode(), structure=b"499000000010001", sector=b"SA07"),
        activity(structure=b"1990000002", sector=b"SA05"),
    )

    assert situations_of_card(objects) == (
        Situation("1", structure_name="CABINET SIMULATION É", structure="499000000010001", sector="SA07"),
        Situation("2", structure="1990000002", sector="SA05"),
    )


def test_a_card_without_objects_has_no_situation() -> None:
    assert situations_of_card(()) == ()


def test_text_that_cannot_be_shown_is_left_out() -> None:
    (found,) = situations_of_card((activity(name=b"CABINET\x00\n", structure=b" ", sector=b"SA07"),))

    assert (found.structure_name, found.structure) == ("CABINET", None)


@pytest.mark.parametrize("data", [b"", b"\xee", b"\x30\x00", b"\xee\x02\x85\x05"])
def test_what_is_no_activity_is_refused(data: bytes) -> None:
    with pytest.raises(CardGarbled):
        situations_of_card((data,))
