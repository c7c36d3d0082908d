"""Which cards the drivers take for theirs."""

from __future__ import annotations

import pytest

from cardd.apdu import Response
from cardd.errors import CardIsVitale, CardUnsupported
from cardd.model import CardKind
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.vitale import VitaleDriver
from tests.drivers.channel import CPS3_ATR, CountingChannel
from tests.drivers.small_card import SmallCard

CPS4 = {
    "CPS4 T=0": "3BDC18FF00001225006480000401009000",
    "CPS4": "3B9B188001001225006480040100009044",
    "CPS4 release candidate": "3B9B188001001225006480000401009044",
}
CPS2TER = "3BAC00402A001225006480820212009000"
CONTACTLESS = "3B8F80010031B86404B0ECC1739401808290000E"
OTHER_CPX = {
    "contactless, unknown": "3B8F80010031B86404B0ECC173940180FFFFFFE3",
    "unknown generation": "3BAC00402A001225006480000501009000",
    "CPS2ter": CPS2TER,
    **CPS4,
}
VITALE = [
    *(f"3B75130000{xx}09EA9000" for xx in ("43", "44", "45", "46", "47", "48", "49", "4B", "4C")),
    "3B751300004509FA9000",
    *(f"3F652500{a}09{b}9000" for a in ("22", "2C") for b in ("F9", "69")),
    *(f"3F652500{a}096A9000" for a in ("52", "A3", "A4")),
]
UNKNOWN_ATR = bytes.fromhex("3B00")


def test_a_cps3_is_recognised_by_its_contact_atr() -> None:
    assert Cps3Driver().recognise(CPS3_ATR) is CardKind.CPS3


def test_a_cps3_near_a_contactless_reader_is_recognised_as_such() -> None:
    assert Cps3Driver().recognise(bytes.fromhex(CONTACTLESS)) is CardKind.CPS3_CONTACTLESS


@pytest.mark.parametrize("interface", ["3BAC00402A", "3BDC18FF00", "3B9B188001"])
def test_generations_are_told_by_their_own_three_bytes_whatever_the_reader_is_told(interface: str) -> None:
    told = {generation: f"{interface}001225006480{generation}009000" for generation in ("000310", "820212", "000401")}
    drivers = (Cps3Driver(), Cps4Driver(), VitaleDriver())
    found = {driver.recognise(bytes.fromhex(atr)): driver.name for atr in told.values() for driver in drivers}
    assert {kind: name for kind, name in found.items() if kind} == {
        CardKind.CPS3: "cps3",
        CardKind.CPS2TER: "vitale",
        CardKind.CPS4: "cps4",
    }


@pytest.mark.parametrize("atr", CPS4.values(), ids=CPS4)
def test_every_cps4_is_recognised(atr: str) -> None:
    assert Cps4Driver().recognise(bytes.fromhex(atr)) is CardKind.CPS4


@pytest.mark.parametrize("atr", [CPS3_ATR.hex(), CPS2TER, CONTACTLESS, "3B00"])
def test_no_other_card_is_taken_for_a_cps4_by_its_atr(atr: str) -> None:
    assert Cps4Driver().recognise(bytes.fromhex(atr)) is None


@pytest.mark.parametrize("atr", OTHER_CPX.values(), ids=OTHER_CPX)
def test_another_generation_is_not_taken_for_a_cps3_by_its_atr(atr: str) -> None:
    assert Cps3Driver().recognise(bytes.fromhex(atr)) is None


@pytest.mark.parametrize("atr", OTHER_CPX.values(), ids=OTHER_CPX)
def test_another_generation_is_not_taken_for_a_cps3_by_its_application_either(atr: str) -> None:
    channel = CountingChannel(SmallCard().process, atr=bytes.fromhex(atr))
    assert Cps3Driver().probe(channel) is None
    assert Cps4Driver().probe(channel) is None
    assert channel.count() == 0


def test_a_cps3_with_an_unknown_atr_is_recognised_by_its_application_and_opens() -> None:
    channel = CountingChannel(SmallCard().process, atr=UNKNOWN_ATR)
    driver = Cps3Driver()
    assert driver.recognise(channel.atr) is None
    kind = driver.probe(channel)
    assert kind is CardKind.CPS3
    assert channel.count() == 1
    assert driver.open(channel, kind).info.serial == "99213845"


def test_a_card_without_the_application_is_not_taken_for_a_cps3() -> None:
    channel = CountingChannel(SmallCard(mutate=lambda *_: Response(b"", 0x6A82)).process, atr=UNKNOWN_ATR)
    assert Cps3Driver().probe(channel) is None


@pytest.mark.parametrize("atr", VITALE)
def test_every_vitale_is_recognised_and_refused_without_a_word_to_it(atr: str) -> None:
    channel = CountingChannel(SmallCard().process, atr=bytes.fromhex(atr))
    driver = VitaleDriver()
    kind = driver.recognise(channel.atr)
    assert kind is CardKind.VITALE
    with pytest.raises(CardIsVitale):
        driver.open(channel, kind)
    assert channel.count() == 0


def test_a_cps2ter_is_recognised_and_refused_without_a_word_to_it() -> None:
    channel = CountingChannel(SmallCard().process, atr=bytes.fromhex(CPS2TER))
    driver = VitaleDriver()
    kind = driver.recognise(channel.atr)
    assert kind is CardKind.CPS2TER
    with pytest.raises(CardUnsupported) as told:
        driver.open(channel, kind)
    assert told.value.params["kind"] == "CPS2TER"
    assert channel.count() == 0


@pytest.mark.parametrize("atr", [CPS3_ATR.hex(), *OTHER_CPX.values(), "3B751300004A09EA9000", "3F6525002209699000FF"])
def test_no_other_card_is_taken_for_a_vitale(atr: str) -> None:
    driver = VitaleDriver()
    assert driver.recognise(bytes.fromhex(atr)) is not CardKind.VITALE
    assert driver.probe(CountingChannel(SmallCard().process)) is None
