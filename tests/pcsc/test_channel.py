"""One reader's card over PC/SC: transactions, resets, APDUs, and what the ATR says of them."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.apdu import Command, Protocol, historical_bytes, takes_extended_apdus
from cardd.core.readers import DriverRegistry
from cardd.errors import CardGarbled, CardMute, CardRemoved, CardReset, PcscUnavailable
from cardd.pcsc.channel import PcscConnection
from cardd.pcsc.winscard import EventState, Handle, WinScard
from cardd.secret import Secret
from tests.pcsc.conftest import Insert, wait_for
from tests.rig import other_program
from tests.rig.pcscd import Pcscd
from tests.rig.vcard import CPS3_ATR, MUTE_ATR, T1_EXTENDED_ATR

SELECT = Command(0x00, 0xA4, 0x04, 0x00, b"\xe8\x28\xbd\x08\x0f", 256)
VERIFY = Command(0x00, 0x20, 0x00, 0x01)
OK = b"\x90\x00"


def test_a_transaction_knows_the_card(connection: PcscConnection, insert: Insert) -> None:
    insert()
    connection.begin()
    assert (connection.atr, connection.protocol, connection.resets) == (CPS3_ATR, Protocol.T0, 0)
    assert not connection.has_pinpad
    assert connection.transmit(SELECT).ok
    connection.end(reset=False)


def test_t0_sends_case_4_without_le_and_gets_the_response(connection: PcscConnection, insert: Insert) -> None:
    answers = iter([b"\x61\x05", b"hello\x90\x00"])
    card = insert(lambda _apdu: next(answers))
    connection.begin()
    response = connection.transmit(SELECT)
    assert (response.data, response.sw) == (b"hello", 0x9000)
    assert [apdu.hex() for apdu in card.apdus] == ["00a4040005e828bd080f", "00c0000005"]
    assert connection.transmitted == 2


def test_a_long_body_is_chained_under_t0(connection: PcscConnection, insert: Insert) -> None:
    card = insert()
    connection.begin()
    assert connection.transmit(Command(0x00, 0x2A, 0x80, 0x86, bytes(300))).ok
    assert [(apdu[0], apdu[4]) for apdu in card.apdus] == [(0x10, 255), (0x00, 45)]


def test_a_t1_card_that_can_gets_extended_apdus(connection: PcscConnection, insert: Insert) -> None:
    card = insert(lambda _apdu: bytes(1000) + OK, T1_EXTENDED_ATR)
    connection.begin()
    assert connection.protocol is Protocol.T1
    assert len(connection.transmit(Command(0x00, 0x2A, 0x80, 0x86, bytes(300), 1000)).data) == 1000
    assert card.apdus == [bytes.fromhex("002a808600012c") + bytes(300) + bytes.fromhex("03e8")]


def test_an_answer_that_is_no_apdu_is_garbled(connection: PcscConnection, insert: Insert) -> None:
    insert(lambda _apdu: b"\x90")
    connection.begin()
    with pytest.raises(CardGarbled):
        connection.transmit(SELECT)


def test_an_answer_that_never_ends_is_garbled(connection: PcscConnection, insert: Insert) -> None:
    insert(lambda _apdu: bytes(255) + b"\x61\xff")
    connection.begin()
    with pytest.raises(CardGarbled):
        connection.transmit(SELECT)


def test_without_a_card_no_transaction_begins(connection: PcscConnection, pcscd: Pcscd) -> None:
    wait_for(pcscd.reader_names[0], EventState.EMPTY)
    with pytest.raises(CardRemoved):
        connection.begin()


def test_a_mute_card_is_called_mute(connection: PcscConnection, insert: Insert) -> None:
    insert(atr=MUTE_ATR)
    with pytest.raises(CardMute):
        connection.begin()


def test_a_transaction_that_ends_with_a_reset_leaves_a_fresh_card(connection: PcscConnection, insert: Insert) -> None:
    card = insert()
    for _ in range(3):
        before = card.resets
        connection.begin()
        assert connection.transmit(SELECT).ok
        connection.end(reset=True)
        assert card.resets == before + 1
    assert connection.resets == 0


def test_a_reset_by_another_program_is_counted_and_our_own_is_not(
    connection: PcscConnection, insert: Insert, pcscd: Pcscd
) -> None:
    insert()
    connection.begin()
    epoch = connection.epoch
    connection.end(reset=True)
    other_program.reset(pcscd, pcscd.reader_names[0])
    connection.begin()
    assert connection.resets == 1
    assert connection.epoch > epoch
    assert connection.transmit(SELECT).ok
    connection.end(reset=True)
    connection.begin()
    assert connection.resets == 1


def test_another_program_is_told_of_our_reset(connection: PcscConnection, insert: Insert, pcscd: Pcscd) -> None:
    insert()
    other = PcscConnection(pcscd.reader_names[0], WinScard(), "fr", DriverRegistry([]).open)
    other.begin()
    other.end(reset=False)
    connection.begin()
    connection.end(reset=True)
    other.begin()
    assert other.resets == 1
    other.disconnect()


def test_what_is_begun_after_anothers_reset_says_so(insert: Insert, pcscd: Pcscd) -> None:
    insert()
    winscard = WinScard()
    handle = winscard.connect(winscard.establish(), pcscd.reader_names[0])
    other_program.reset(pcscd, pcscd.reader_names[0])
    with pytest.raises(CardReset):
        winscard.begin(handle)


def test_nobody_gets_between_our_commands(connection: PcscConnection, insert: Insert, pcscd: Pcscd) -> None:
    card = insert()
    connection.begin()
    other = threading.Thread(target=other_program.reset, args=(pcscd, pcscd.reader_names[0]))
    other.start()
    before, deadline = card.resets, time.monotonic() + 0.7
    while time.monotonic() < deadline:
        assert connection.transmit(SELECT).ok
    assert card.resets == before
    connection.end(reset=False)
    other.join(10)
    assert card.resets == before + 1
    connection.begin()
    assert connection.resets == 1


def test_we_wait_while_another_program_holds_the_card(connection: PcscConnection, insert: Insert, pcscd: Pcscd) -> None:
    insert()
    begun = threading.Event()

    def begin() -> None:
        connection.begin()
        begun.set()

    waiter = threading.Thread(target=begin)
    with other_program.holding(pcscd, pcscd.reader_names[0]):
        waiter.start()
        assert not begun.wait(0.4)
        assert connection.is_waiting
    assert begun.wait(5)
    assert not connection.is_waiting


def test_a_card_pulled_during_a_slow_command_is_removed(connection: PcscConnection, insert: Insert) -> None:
    pulled, answered = threading.Event(), threading.Event()

    def slow(_apdu: bytes) -> bytes:
        threading.Timer(0.1, card.pull).start()
        pulled.wait(30)
        answered.set()
        return OK

    card = insert(slow)
    connection.begin()
    with pytest.raises(CardRemoved):
        connection.transmit(SELECT)
    assert not answered.is_set()
    pulled.set()
    connection.end(reset=True)
    with pytest.raises(CardRemoved):
        connection.transmit(SELECT)


def test_a_card_that_took_anothers_place_is_not_taken_for_it(
    connection: PcscConnection, insert: Insert, pcscd: Pcscd
) -> None:
    card = insert()
    connection.begin()
    connection.end(reset=False)
    card.pull()
    wait_for(pcscd.reader_names[0], EventState.EMPTY)
    insert(atr=T1_EXTENDED_ATR)
    connection.begin()
    assert connection.resets == 1
    assert (connection.atr, connection.protocol) == (T1_EXTENDED_ATR, Protocol.T1)
    assert connection.transmit(SELECT).ok


def test_a_secret_reaches_the_card_and_leaves_no_list_behind(pcscd: Pcscd, insert: Insert) -> None:
    class Spy(WinScard):
        sent: list[int]

        def transmit(self, handle: Handle, apdu: list[int]) -> bytes:
            self.sent = apdu
            return super().transmit(handle, apdu)

    spy = Spy()
    connection = PcscConnection(pcscd.reader_names[0], spy, "fr", DriverRegistry([]).open)
    card = insert(lambda _apdu: b"\x63\xc2")
    connection.begin()
    with Secret.of(b"1234") as pin:
        assert connection.transmit_secret(VERIFY, pin).sw == 0x63C2
    assert card.apdus[-1] == bytes.fromhex("002000010431323334")
    assert spy.sent == [0] * 9
    connection.disconnect()


def test_pcscd_that_dies_within_a_transaction_is_unavailable_until_it_is_back(
    connection: PcscConnection, insert: Insert, pcscd: Pcscd
) -> None:
    insert()
    connection.begin()
    pcscd.stop()
    with pytest.raises(PcscUnavailable):
        connection.transmit(SELECT)
    connection.end(reset=True)
    with pytest.raises(PcscUnavailable):
        connection.begin()
    pcscd.start()
    insert()
    connection.begin()
    assert connection.transmit(SELECT).ok


def test_giving_up_within_a_transaction_resets_the_card(
    connection: PcscConnection, insert: Insert, pcscd: Pcscd
) -> None:
    card = insert()
    connection.begin()
    before = card.resets
    connection.disconnect()
    assert card.resets == before + 1
    other_program.reset(pcscd, pcscd.reader_names[0])  # which it could not, were our transaction still open


def test_two_slots_work_side_by_side(insert: Insert, pcscd: Pcscd) -> None:
    cards = [insert(slot=slot) for slot in (0, 1)]
    connections = [PcscConnection(name, WinScard(), "fr", DriverRegistry([]).open) for name in pcscd.reader_names]
    for connection in connections:
        connection.begin()
    for connection, count in itertools.product(connections, range(3)):
        assert connection.transmit(Command(0, 0xB0, 0, count, le=1)).ok
    assert [len(card.apdus) for card in cards] == [3, 3]
    for connection in connections:
        connection.disconnect()


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
