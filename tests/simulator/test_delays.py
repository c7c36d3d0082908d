"""How slow a simulated card is told to be."""

from __future__ import annotations

import pytest

from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.interface import Delays
from tests.rig.simulator import issue


@pytest.mark.parametrize(
    ("apdu", "milliseconds"),
    [
        ("002000010431323334", 100),
        ("0020000100", 10),
        ("002400010831323334 39393939", 100),
        (f"002A9E9A20{'11' * 32}", 400),
        ("00880000024142", 400),
        (f"102A8086FF{'81' * 255}", 10),
        ("002A90A0059000800141", 40),
        ("00A4020C023F00", 10),
        ("00C0000000", 10),
    ],
)
def test_a_card_of_400_ms_takes_as_long_as_a_real_one(apdu: str, milliseconds: int) -> None:
    slept: list[float] = []
    card = SimulatedCard(issue(), delays=Delays(400), sleep=slept.append)
    card.power_on()
    card.process(bytes.fromhex(apdu))
    assert slept == [pytest.approx(milliseconds / 1000)]


def test_a_card_of_0_ms_never_sleeps() -> None:
    slept: list[float] = []
    card = SimulatedCard(issue(), sleep=slept.append)
    card.power_on()
    card.process(bytes.fromhex(f"002A9E9A20{'11' * 32}"))
    assert slept == []
