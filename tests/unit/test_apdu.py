"""Commands, responses and the rules of T=0 and T=1 between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.apdu import PARTS_MAX, RESPONSE_MAX, SW, Command, Protocol, Response, Transport, tries_left
from cardd.errors import CardGarbled

byte = st.integers(0, 255)
commands = st.builds(
    Command,
    cla=byte,
    ins=byte,
    p1=byte,
    p2=byte,
    data=st.binary(max_size=600),
    le=st.one_of(st.none(), st.integers(1, 65536)),
)


class Wire:
    """Plays a card that answers what it was given, and keeps what it was sent."""

    def __init__(self, *answers: str) -> None:
        self.answers = [bytes.fromhex(answer) for answer in answers]
        self.sent: list[str] = []

    def __call__(self, raw: bytes) -> bytes:
        self.sent.append(raw.hex().upper())
        return self.answers.pop(0)


@given(commands)
def test_a_command_reads_back_as_it_was_written(command: Command) -> None:
    assert Command.decode(command.encode()) == command


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_a_value_error(raw: bytes) -> None:
    try:
        command = Command.decode(raw)
    except ValueError:
        return
    assert command.header == raw[:4]


@pytest.mark.parametrize(
    ("command", "encoded"),
    [
        (Command(0, 0xA4, 4, 0x0C), "00A4040C"),
        (Command(0, 0xB0, 0, 0, le=256), "00B0000000"),
        (Command(0, 0x20, 0, 1, b"1234"), "002000010431323334"),
        (Command(0, 0x88, 0, 0, b"\x01", le=256), "00880000010100"),
        (Command(0, 0xB0, 0, 0, le=65536), "00B00000000000"),
        (Command(0, 0x88, 0, 0, bytes(256), le=65536), "00880000000100" + "00" * 256 + "0000"),
    ],
)
def test_the_four_cases_are_encoded_as_iso_7816_4_says(command: Command, encoded: str) -> None:
    assert command.encode().hex().upper() == encoded


def test_a_body_beyond_an_extended_apdu_is_refused() -> None:
    with pytest.raises(ValueError, match="extended"):
        Command(0, 0xD6, 0, 0, bytes(65536)).encode()


def test_under_t0_a_case_4_command_travels_without_le_and_its_answer_is_fetched() -> None:
    wire = Wire("6110", "AA" * 16 + "9000")
    response = Transport(wire, Protocol.T0).send(Command(0, 0x88, 0, 0, b"\x01\x02", le=256))
    assert wire.sent == ["00880000020102", "00C0000010"]
    assert response == Response(b"\xaa" * 16, SW.OK)


def test_under_t0_a_command_without_body_and_answer_still_sends_p3() -> None:
    wire = Wire("63C3")
    assert Transport(wire, Protocol.T0).send(Command(0, 0x20, 0, 1)).sw == 0x63C3
    assert wire.sent == ["0020000100"]


def test_an_answer_in_several_parts_is_put_together() -> None:
    wire = Wire("6100", "01" * 256 + "6119", "02" * 25 + "9000")
    response = Transport(wire, Protocol.T0).send(Command(0, 0xCB, 0x3F, 0xFF, b"\x4d", le=256))
    assert wire.sent[1:] == ["00C0000000", "00C0000019"]
    assert response.data == b"\x01" * 256 + b"\x02" * 25


def test_a_wrong_le_is_repeated_with_the_length_that_the_card_names() -> None:
    wire = Wire("6C0C", "5A" * 12 + "9000")
    response = Transport(wire, Protocol.T0).send(Command(0, 0xB0, 0x9C, 0, le=256))
    assert wire.sent == ["00B09C0000", "00B09C000C"]
    assert len(response.data) == 12


def test_a_long_body_is_chained_when_extended_apdus_are_not_agreed() -> None:
    wire = Wire("9000", "9000")
    Transport(wire, Protocol.T0).send(Command(0, 0x2A, 0x80, 0x86, bytes(257)))
    assert wire.sent == ["102A8086FF" + "00" * 255, "002A8086020000"]


def test_a_chain_stops_at_the_first_part_that_is_refused() -> None:
    wire = Wire("6982")
    assert Transport(wire, Protocol.T1).send(Command(0, 0x2A, 0x80, 0x86, bytes(600))).sw == SW.SECURITY_STATUS
    assert len(wire.sent) == 1


def test_a_long_answer_is_asked_for_in_short_parts_when_extended_apdus_are_not_agreed() -> None:
    wire = Wire("9000")
    Transport(wire, Protocol.T1).send(Command(0, 0xB0, 0, 0, le=1000))
    assert wire.sent == ["00B0000000"]


def test_a_length_that_was_cut_is_no_command() -> None:
    with pytest.raises(ValueError, match="cut short"):
        Command.decode(bytes(4) + b"\0\1")


def test_a_long_body_travels_whole_when_t1_and_extended_apdus_are_agreed() -> None:
    wire = Wire("9000")
    Transport(wire, Protocol.T1, extended=True).send(Command(0, 0x2A, 0x80, 0x86, bytes(300)))
    assert wire.sent == ["002A808600012C" + "00" * 300]


def test_a_card_that_promises_data_for_ever_is_given_up() -> None:
    sent = 0

    def endless(_: bytes) -> bytes:
        nonlocal sent
        sent += 1
        return bytes(256) + b"\x61\x00"

    with pytest.raises(CardGarbled):
        Transport(endless, Protocol.T0).send(Command(0, 0xB0, 0, 0, le=256))
    assert sent <= RESPONSE_MAX // 256 + 1


def test_a_card_that_sends_byte_after_byte_for_ever_is_given_up() -> None:
    wire = Wire(*["616100"] * (PARTS_MAX + 2))
    with pytest.raises(CardGarbled):
        Transport(wire, Protocol.T0).send(Command(0, 0xB0, 0, 0, le=256))


def test_a_card_that_promises_data_and_sends_none_is_given_up() -> None:
    with pytest.raises(CardGarbled):
        Transport(lambda _: b"\x61\x10", Protocol.T0).send(Command(0, 0xB0, 0, 0, le=256))


@given(st.binary(max_size=1))
def test_an_answer_without_a_status_word_is_garbled(raw: bytes) -> None:
    with pytest.raises(CardGarbled):
        Response.decode(raw)


@pytest.mark.parametrize(
    ("sw", "left"), [(0x63C3, 3), (0x63C0, 0), (0x6983, 0), (0x9000, None), (0x6A88, None), (0x6300, None)]
)
def test_tries_left_are_read_from_the_status_word(sw: int, left: int | None) -> None:
    assert tries_left(sw) == left
