"""A hostile card that is opened ends in a clear error, soon, after few commands and with little memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from cardd.driver import CardDriver
from cardd.errors import CardError
from cardd.model import CardKind
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from tests.drivers.channel import CountingChannel
from tests.hostile.cards import GENERATIONS, HostileCard, Malice
from tests.hostile.malices import CASES, HONEST, Case

DRIVERS: dict[str, tuple[CardDriver, CardKind]] = {
    "cps3": (Cps3Driver(), CardKind.CPS3),
    "cps4": (Cps4Driver(), CardKind.CPS4),
}
PROCESSOR = 2.0  # seconds of it that one card may take on a slow machine; most take some milliseconds
MEMORY = 1024 * 1024  # bytes at the peak, those of the simulated card included


def read_all(card: HostileCard, generation: str) -> int:
    """Everything that is read before a PIN is asked for; the number of certificates."""
    driver, kind = DRIVERS[generation]
    card.power_on()
    opened = driver.open(CountingChannel(card.process, atr=card.atr, protocol=card.protocol), kind)
    certificates = opened.certificates()
    opened.pin_status()
    return len(certificates)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_without_malice_it_is_a_card_as_any_other(generation: str) -> None:
    card = HostileCard(Malice(), GENERATIONS[generation]())
    assert read_all(card, generation) == 2
    assert card.harms == 0
    assert card.commands <= HONEST


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_malice_ends_in_its_error_within_its_number_of_commands(case: Case, generation: str) -> None:
    card = HostileCard(case.malice, GENERATIONS[generation]())
    begun = time.thread_time()
    with pytest.raises(CardError) as failed:
        read_all(card, generation)
    assert card.harms > 0
    assert str(failed.value) == case.error
    assert card.commands <= case.commands
    assert time.thread_time() - begun < PROCESSOR


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_malice_fills_the_memory(case: Case) -> None:
    card = HostileCard(case.malice)
    with pytest.raises(CardError):  # once before, so that what is loaded at the first use is not counted
        read_all(card, "cps3")
    tracemalloc.start()
    try:
        with pytest.raises(CardError):
            read_all(HostileCard(case.malice), "cps3")
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
