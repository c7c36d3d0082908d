"""Whatever arrives, the card answers a status word and lives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.apdu import Command
from cardd_simulators.cards.card import SimulatedContactless
from cardd_simulators.cards.interface import PoweredCard
from cardd_simulators.cards.vitale import SimulatedVitale
from tests.rig.simulator import issue, simulated_card, simulated_cps4

COMMANDS = st.builds(
    Command,
    cla=st.sampled_from((0x00, 0x01, 0x10, 0x11, 0x80)),
    ins=st.sampled_from((0x22, 0x2A, 0x2C, 0x24, 0x88, 0xA4, 0xB0, 0xC0, 0xCB, 0xD6)),
    p1=st.sampled_from((0x00, 0x02, 0x04, 0x08, 0x09, 0x3F, 0x41, 0x80, 0x90, 0x9C, 0x9E)),
    p2=st.sampled_from((0x00, 0x01, 0x04, 0x0C, 0x86, 0x9A, 0xA0, 0xA4, 0xAA, 0xB6, 0xB8, 0xFF)),
    data=st.one_of(
        st.binary(max_size=255),
        st.sampled_from([bytes.fromhex(h) for h in ("3F000001B001", "800142840181", "800140", "800102840182")]),
        st.sampled_from([bytes.fromhex(h) for h in ("8025000001FF0100", "910228A1", "91022CA0", "830120", "00" * 32)]),
        st.binary(max_size=20).map(lambda tail: bytes.fromhex("4D087006BF8101") + tail),
        st.binary(max_size=72).map(lambda tail: bytes((0x90, 0x28)) + tail[:40] + b"\x80" + tail[40:]),
    ),
    le=st.one_of(st.none(), st.integers(1, 256)),
)


KINDS: dict[str, Callable[[], PoweredCard]] = {
    "cps3": simulated_card,
    "cps4": simulated_cps4,
    "contactless": lambda: SimulatedContactless(issue()),
    "vitale": SimulatedVitale,
}


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def card(request: pytest.FixtureRequest) -> PoweredCard:
    make: Callable[[], PoweredCard] = request.param
    card = make()
    card.power_on()
    return card


@given(apdu=st.binary(max_size=300))
def test_arbitrary_bytes_get_a_status_word(card: PoweredCard, apdu: bytes) -> None:
    assert _has_status_word(card.process(apdu))


@given(commands=st.lists(COMMANDS, max_size=8))
def test_arbitrary_commands_after_a_login_get_status_words(card: PoweredCard, commands: list[Command]) -> None:
    card.process(bytes.fromhex("01A4040C088025000001FF0100"))
    for channel in ("00", "01"):
        card.process(bytes.fromhex(f"{channel}2000010431323334"))
    for command in commands:
        assert _has_status_word(card.process(command.encode()))


def _has_status_word(answer: bytes) -> bool:
    return len(answer) >= 2 and answer[-2] >> 4 in (6, 9)
