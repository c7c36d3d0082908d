"""The PIN of a CPS3: tries, refusals, and what is never sent."""

from __future__ import annotations

import pytest

from cardd.apdu import Command, Response
from cardd.errors import CardGarbled, CardIncomplete, CardRefused, PinBlocked, PinFormat, PinWrong
from cardd.model import PinState, PinStatus
from tests.drivers.conftest import Benches
from tests.drivers.small_card import SmallCard


def test_the_tries_left_are_read_without_spending_one(bench: Benches) -> None:
    open_card = bench()
    assert [open_card.opened.pin_status() for _ in range(3)] == [PinStatus(3)] * 3
    assert open_card.channel.count() == 3


def test_a_wrong_pin_tells_the_tries_left_and_the_right_one_restores_them(bench: Benches) -> None:
    open_card = bench()
    for left in (2, 1):
        with pytest.raises(PinWrong) as told:
            open_card.login(b"9999")
        assert told.value.params == {"tries_left": left}
    assert open_card.opened.pin_status().state is PinState.LAST_TRY
    open_card.login()
    assert open_card.opened.pin_status() == PinStatus(3)  # 9000: verified


@pytest.mark.parametrize("last_sw", [0x63C0, 0x6983])
def test_the_third_wrong_pin_blocks_and_so_it_stays(last_sw: int, bench: Benches) -> None:
    open_card = bench(SmallCard(last_try_sw=last_sw))
    for _ in range(2):
        with pytest.raises(PinWrong):
            open_card.login(b"0000")
    for pin in (b"0000", b"1234"):
        with pytest.raises(PinBlocked):
            open_card.login(pin)
    assert open_card.opened.pin_status().state is PinState.BLOCKED


@pytest.mark.parametrize("pin", [b"", b"123", b"12345", b"12a4", b"12 4", "١٢".encode()])
def test_a_pin_that_cannot_be_right_is_not_sent(pin: bytes, bench: Benches) -> None:
    open_card = bench()
    with pytest.raises(PinFormat) as told:
        open_card.login(pin)
    assert told.value.params == {"minimum": 4, "maximum": 4}
    assert open_card.channel.count() == 0


def test_the_readers_keypad_may_ask_for_the_pin(bench: Benches) -> None:
    open_card = bench()
    open_card.opened.verify(None)
    assert open_card.sign()
    open_card.channel.keypad = b"9999"
    with pytest.raises(PinWrong):
        open_card.opened.verify(None)


def test_a_status_word_without_meaning_is_told_as_it_is(bench: Benches) -> None:
    def broken(command: Command, response: Response) -> Response:
        return Response(b"", 0x6F00) if command.ins == 0x20 else response

    open_card = bench(SmallCard(mutate=broken))
    for act in (open_card.login, open_card.opened.pin_status):
        with pytest.raises(CardRefused) as told:
            act()
        assert told.value.params == {"command": "VERIFY", "sw": "6F00"}


@pytest.mark.parametrize("auth_id", ["040107", "040102"], ids=["unknown", "the unblocking code"])
def test_a_card_whose_keys_name_no_pin_of_the_holder_is_incomplete(auth_id: str, bench: Benches) -> None:
    card = SmallCard()
    directory = card.contents["3F0000017002"]
    card.contents["3F0000017002"] = directory.replace(bytes.fromhex("040101"), bytes.fromhex(auth_id))
    with pytest.raises(CardIncomplete):
        bench(card)


@pytest.mark.parametrize(
    "counters",
    [
        "",
        "70",
        "7003BF8101",
        "7003BF810100",
        "7009BF810105A0039A0103",
        "700EBF81020AA0089A01039B03000003",
        "700BBF810107A0059A01039B00",
        "80" * 200,
    ],
)
def test_counters_that_make_no_sense_are_no_tries(counters: str, bench: Benches) -> None:
    def lying(command: Command, response: Response) -> Response:
        if command.ins == 0x20 and not command.data:
            return Response(b"", 0x6700)
        return Response(bytes.fromhex(counters), 0x9000) if command.ins == 0xCB else response

    with pytest.raises((CardRefused, CardGarbled)):
        bench(SmallCard(mutate=lying)).opened.pin_status()


def test_a_card_without_any_count_is_refused(bench: Benches) -> None:
    def silent(command: Command, response: Response) -> Response:
        return Response(b"", 0x6700) if command.ins == 0x20 and not command.data else response

    with pytest.raises(CardRefused) as told:
        bench(SmallCard(mutate=silent)).opened.pin_status()
    assert told.value.params == {"command": "VERIFY", "sw": "6700"}
