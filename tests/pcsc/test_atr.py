"""What ATRs say of extended APDUs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cardd.pcsc.channel import historical_bytes, takes_extended_apdus
from tests.rig.vcard import CPS3_ATR, T1_EXTENDED_ATR

CPS3_CONTACTLESS = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
CPS4 = bytes.fromhex("3B9B188001001225006480040100009044")


def test_the_historical_bytes_are_found_behind_the_interface_bytes() -> None:
    assert historical_bytes(CPS3_ATR).hex() == "001225006480000310009000"
    assert historical_bytes(CPS3_CONTACTLESS).hex() == "0031b86404b0ecc173940180829000"
    assert historical_bytes(CPS4).hex() == "0012250064800401000090"


def test_only_a_card_that_says_so_gets_extended_apdus() -> None:
    assert takes_extended_apdus(T1_EXTENDED_ATR)
    assert not takes_extended_apdus(CPS3_ATR)
    assert not takes_extended_apdus(CPS4)


def test_capabilities_without_the_bit_are_no_promise() -> None:
    assert takes_extended_apdus(bytes.fromhex("3B85018073C02140"))
    assert not takes_extended_apdus(bytes.fromhex("3B85018073C02180"))


@given(st.binary(max_size=40))
def test_no_atr_fails(atr: bytes) -> None:
    assert len(historical_bytes(atr)) <= 15
    assert takes_extended_apdus(atr) in (True, False)
