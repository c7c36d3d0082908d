"""PIN entry on the reader's keypad: a stand-in reader reads the structure by itself and plays the card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.apdu import Command
from cardd.core.readers import DriverRegistry
from cardd.errors import CardMute, PinCancelled, PinFormat, PinTimeout
from cardd.model import PinInfo
from cardd.pcsc.channel import PcscConnection
from cardd.pcsc.pinpad import parse_features
from cardd.pcsc.winscard import Handle, WinScard
from tests.pcsc.conftest import Insert
from tests.rig.pcscd import Pcscd

VERIFY = Command(0x00, 0x20, 0x00, 0x01)
PIN = PinInfo(reference=1, label="Code porteur", minimum=4, maximum=8, tries=3)
VERIFY_CODE = 0x42330006


class KeypadReader(WinScard):
    """A reader with FEATURE_VERIFY_PIN_DIRECT over the real virtual card.

    ``digits`` is what the holder enters; None is the cancel key, nothing at all is nobody there.
    """

    def __init__(self, digits: str | None) -> None:
        self.digits = digits
        self.language = 0

    def control(self, handle: Handle, control_code: int, data: list[int]) -> bytes:
        if control_code == 0x42000D48:
            return bytes.fromhex("1204 4233 0012  0604 4233 0006  0A04 4233 000A")
        assert control_code == VERIFY_CODE
        return self._verify(handle, bytes(data))

    def _verify(self, handle: Handle, structure: bytes) -> bytes:
        assert structure[0] >= 15  # a person needs some time
        assert structure[2:5] == b"\x82\x00\x00"  # ASCII, at the beginning of the body, no fixed block
        longest, shortest = structure[5], structure[6]
        assert structure[7] & 0x02  # ends with the validation key
        self.language = structure[9] | structure[10] << 8
        size = int.from_bytes(structure[15:19], "little")
        apdu = structure[19:]
        assert len(apdu) == size
        assert apdu[4:] == b"\x00"
        if self.digits is None:
            return b"\x64\x01"
        if not self.digits:
            return b"\x64\x00"
        if not shortest <= len(self.digits) <= longest:
            return b"\x64\x03"
        return self.transmit(handle, [*apdu[:4], len(self.digits), *self.digits.encode()])


@pytest.fixture
def keypad() -> KeypadReader:
    return KeypadReader("1234")


@pytest.fixture
def connection(pcscd: Pcscd, keypad: KeypadReader) -> Iterator[PcscConnection]:
    connection = PcscConnection(pcscd.reader_names[0], keypad, "fr", DriverRegistry([]).open)
    yield connection
    connection.disconnect()


def test_the_pin_goes_from_the_keypad_to_the_card(
    connection: PcscConnection, keypad: KeypadReader, insert: Insert
) -> None:
    card = insert()
    assert not connection.has_pinpad  # nothing is connected yet, and the question stays open
    connection.begin()
    assert connection.has_pinpad
    assert connection.verify_on_pinpad(VERIFY, PIN).ok
    assert card.apdus == [bytes.fromhex("002000010431323334")]
    assert keypad.language == 0x040C


def test_the_keypad_speaks_english_where_cardd_does(keypad: KeypadReader, pcscd: Pcscd, insert: Insert) -> None:
    insert()
    connection = PcscConnection(pcscd.reader_names[0], keypad, "en", DriverRegistry([]).open)
    connection.begin()
    assert connection.verify_on_pinpad(VERIFY, PIN).ok
    assert keypad.language == 0x0409
    connection.disconnect()


def test_a_wrong_pin_is_the_cards_answer(connection: PcscConnection, insert: Insert) -> None:
    insert(lambda _apdu: b"\x63\xc1")
    connection.begin()
    assert connection.verify_on_pinpad(VERIFY, PIN).sw == 0x63C1


@pytest.mark.parametrize(("digits", "error"), [(None, PinCancelled), ("", PinTimeout), ("123", PinFormat)])
def test_an_entry_that_does_not_end_in_a_pin_costs_no_try(
    connection: PcscConnection,
    keypad: KeypadReader,
    insert: Insert,
    digits: str | None,
    error: type[Exception],
) -> None:
    card = insert()
    keypad.digits = digits
    connection.begin()
    with pytest.raises(error):
        connection.verify_on_pinpad(VERIFY, PIN)
    assert card.apdus == []


def test_a_reader_that_refuses_the_question_has_no_keypad(pcscd: Pcscd, insert: Insert) -> None:
    class Plain(WinScard):
        def control(self, handle: Handle, control_code: int, data: list[int]) -> bytes:
            raise CardMute

    insert()
    connection = PcscConnection(pcscd.reader_names[0], Plain(), "fr", DriverRegistry([]).open)
    connection.begin()
    assert not connection.has_pinpad
    connection.disconnect()


@given(st.dictionaries(st.integers(1, 255), st.integers(0, 0xFFFFFFFF)), st.binary(max_size=5))
def test_features_are_read_whatever_follows_them(features: dict[int, int], rest: bytes) -> None:
    answer = b"".join(bytes((tag, 4)) + code.to_bytes(4, "big") for tag, code in features.items())
    assert parse_features(answer + rest) == features


@given(st.binary(max_size=300))
def test_no_answer_to_the_question_for_features_fails(answer: bytes) -> None:
    assert len(parse_features(answer)) <= len(answer) // 6
