"""The simulator as ``cardctl simulate`` and ``cardd run --simulate`` find and use it."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.x509 import load_der_x509_certificate

from cardd.cli.simulators import card_named
from cardd.errors import InvalidRequest
from cardd.ports import CardConnection
from cardd.simulator import CardOptions, CardSimulator
from cardd.values import replace
from cardd_simulators.cards.inprocess import InProcessReaders
from cardd_simulators.cards.simulators import ContactlessSimulator, Cps3Simulator, Cps4Simulator, VitaleSimulator
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import STATE, store, wait_for_card

OPTIONS = CardOptions(state=STATE)


@pytest.fixture
def simulator() -> CardSimulator:
    return Cps3Simulator()


OTHERS: dict[str, tuple[CardSimulator, str]] = {
    "cps3-contactless": (ContactlessSimulator(), "3b8f80010031b86404b0ecc1739401808290000e"),
    "cps4": (Cps4Simulator(), "3b9b188001001225006480040100009044"),
    "vitale-atr": (VitaleSimulator(), "3b751300004309ea9000"),
}


def test_a_simulator_offers_five_holders(simulator: CardSimulator) -> None:
    assert simulator.name == "cps3"
    assert simulator.profiles == ("medecin", "pharmacien", "infirmier", "interne", "secretaire", "agent")


def test_a_simulator_says_what_it_is_in_both_languages(simulator: CardSimulator) -> None:
    assert "simulée" in simulator.summary("fr")
    assert "Simulated" in simulator.summary("en")


async def test_a_simulator_keeps_a_card_in_the_reader_until_cancelled(simulator: CardSimulator, pcscd: Pcscd) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    options = replace(OPTIONS, profile="pharmacien", reader=("127.0.0.1", pcscd.ports[0]), language="en")
    task = asyncio.ensure_future(simulator.run(options, told.put_nowait))
    async with asyncio.timeout(20):
        assert "A production workstation must not carry it" in await told.get()
        assert f"(pharmacien) inserted in the virtual reader 127.0.0.1:{pcscd.ports[0]}" in await told.get()
    await asyncio.to_thread(wait_for_card, pcscd)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_for_card, pcscd, present=False)


async def test_a_simulator_puts_a_card_in_a_reader_of_this_process(simulator: CardSimulator) -> None:
    source = simulator.in_process(replace(OPTIONS, profile="infirmier", pin="123456"))
    assert isinstance(source, InProcessReaders)
    (reader,) = source.readers
    atr = await reader.run(_atr, timeout=5)
    assert atr.hex().startswith("3bac")


@pytest.mark.parametrize("name", OTHERS)
async def test_every_other_card_is_known_by_its_name_and_has_its_own_answer_to_reset(name: str) -> None:
    simulator, atr = OTHERS[name]
    assert type(card_named(name)) is type(simulator)
    assert simulator.summary("fr") != simulator.summary("en")
    source = simulator.in_process(OPTIONS)
    assert isinstance(source, InProcessReaders)
    assert (await source.readers[0].run(_atr, timeout=5)).hex() == atr


@pytest.mark.parametrize("name", OTHERS)
async def test_every_other_card_sits_in_a_virtual_reader(name: str, pcscd: Pcscd) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    options = replace(OPTIONS, reader=("127.0.0.1", pcscd.ports[0]))
    task = asyncio.ensure_future(OTHERS[name][0].run(options, told.put_nowait))
    await asyncio.to_thread(wait_for_card, pcscd)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_for_card, pcscd, present=False)
    assert "production" in told.get_nowait()


def test_a_patients_card_has_no_profile() -> None:
    assert VitaleSimulator().profiles == ()
    with pytest.raises(InvalidRequest):
        VitaleSimulator().in_process(replace(OPTIONS, profile="medecin"))


def test_a_simulators_authorities_are_those_of_the_cards(simulator: CardSimulator) -> None:
    told = simulator.authorities(OPTIONS)
    assert told == store().authorities
    names = [load_der_x509_certificate(der).subject.rfc4514_string() for der in told]
    assert all("SIMULATION" in name for name in names)
    assert VitaleSimulator().authorities(OPTIONS) == []


def _atr(connection: CardConnection) -> bytes:
    connection.begin()
    connection.end(reset=False)
    return connection.atr


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (replace(OPTIONS, profile="dentiste"), "profile"),
        (replace(OPTIONS, pin="123"), "pin"),
        (replace(OPTIONS, pin="123456789"), "pin"),
        (replace(OPTIONS, pin="12a4"), "pin"),
        (replace(OPTIONS, puk="1234"), "puk"),
        (replace(OPTIONS, delay_ms=-1), "delay_ms"),
    ],
)
async def test_options_that_cannot_be_are_refused_by_name(
    simulator: CardSimulator, options: CardOptions, where: str
) -> None:
    with pytest.raises(InvalidRequest) as in_process:
        simulator.in_process(options)
    with pytest.raises(InvalidRequest) as run:
        await simulator.run(options, lambda _: None)
    assert in_process.value.params["where"] == run.value.params["where"] == where


def test_the_pin_is_not_in_the_options_repr() -> None:
    assert "9876" not in repr(replace(OPTIONS, pin="9876"))
