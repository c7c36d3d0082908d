"""What is left of a card's answers in a recording: structure, in the same length, whatever the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from cardd.apdu import Command
from cardd.core.masks import Masks

SELECT, READ = Command(0, 0xA4, 4, 0, b"\xa0\x00"), 0xB0
NAME = b"Jeanne DUPONT 899700218896"


def tlv(tag: int, value: bytes) -> bytes:
    """One object, its length in the long form."""
    return bytes((tag, 0x82, *len(value).to_bytes(2, "big"))) + value


def read(data: bytes, size: int = 256) -> bytes:
    """What a recording has of a file that is read in parts of this size."""
    masks = Masks()
    masks.answer(SELECT, b"")
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    return b"".join(masks.answer(Command(0, READ, *divmod(n * size, 256)), part) for n, part in enumerate(parts))


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (tlv(0x30, tlv(0x0C, NAME)), tlv(0x30, tlv(0x0C, b"Xxxxxx XXXXXX 000000000000"))),
        (tlv(0x30, tlv(0x0C, b"CPS_PRIV_SIG")), tlv(0x30, tlv(0x0C, b"CPS_PRIV_SIG"))),
        (tlv(0x30, tlv(0x1E, NAME[:4])), tlv(0x30, tlv(0x1E, b"Xxxx"))),
        (tlv(0x30, tlv(0x02, b"\x03")), tlv(0x30, tlv(0x02, b"\x03"))),
        (tlv(0x30, tlv(0x02, b"\x00" + b"\x99" * 7)), tlv(0x30, tlv(0x02, b"\x00" + b"\xd5" * 7))),
        (tlv(0x30, tlv(0x17, b"261130141512Z") * 2), tlv(0x30, tlv(0x17, b"261130000000Z") * 2)),
        (tlv(0x30, tlv(0x06, b"\x2b\x06\x01\x05\x05\x07\x09\x01") + tlv(0x31, tlv(0x18, b"19650412120000Z"))),
         tlv(0x30, tlv(0x06, b"\x2b\x06\x01\x05\x05\x07\x09\x01") + tlv(0x31, tlv(0x18, b"20000101000000Z")))),
        (tlv(0x30, tlv(0x04, tlv(0x30, tlv(0x13, NAME)))),
         tlv(0x30, tlv(0x04, tlv(0x30, tlv(0x13, b"Xxxxxx XXXXXX 000000000000"))))),
        (tlv(0x30, tlv(0x04, b"\x3f\x00\xa0\x00\x50\x31")), tlv(0x30, tlv(0x04, b"\x3f\x00\xa0\x00\x50\x31"))),
        (tlv(0x30, tlv(0x04, bytes.fromhex("089970021889"))), tlv(0x30, tlv(0x04, bytes(6)))),
        (tlv(0x30, tlv(0x04, NAME)), tlv(0x30, tlv(0x04, bytes(len(NAME))))),
        (tlv(0x5A, bytes.fromhex("8025000001123456789F")), tlv(0x5A, bytes.fromhex("8025000001000000000F"))),
        (NAME, b"Xxxxxx\x00XXXXXX\x00000000000000"),
        (tlv(0x30, b"\x0c\x7fJeanne"), b"\x30\x82\x00\x08\x00\x00Xxxxxx"),  # longer than what it is in
    ],
)  # fmt: skip
def test_structure_stays_and_what_names_somebody_goes(told: bytes, left: bytes) -> None:
    assert read(told) == left


def test_objects_inside_each_other_without_end_go_as_text() -> None:
    told = b""
    while len(told) < 16_000:
        told = tlv(0x30, told) if len(told) % 3 else tlv(0x04, told)

    assert len(Masks().answer(Command(0, 0xCA, 0, 0), told)) == len(told)


def test_what_comes_from_the_middle_of_a_file_goes_as_text() -> None:
    masks = Masks()
    masks.answer(SELECT, b"")
    assert masks.answer(Command(0, READ, 1, 0), tlv(0x0C, b"CPS")) == b"\x00\x00\x00\x00XXX"


def test_what_a_key_made_and_what_is_sent_to_one_goes() -> None:
    masks = Masks()
    assert masks.answer(Command(0, 0x2A, 0x9E, 0x9A), NAME) == bytes(len(NAME))
    assert masks.data(Command(0, 0x88, 0, 0, NAME)) is None
    assert masks.data(Command(0, 0x2A, 0x9E, 0x9A, NAME)) is None
    assert masks.data(SELECT) == b"\xa0\x00"


@given(strategies.binary(max_size=600), strategies.integers(1, 256), strategies.sampled_from((b"", b"0\x82\x02\x00")))
def test_any_bytes_keep_their_length_in_any_parts(data: bytes, size: int, before: bytes) -> None:
    assert len(read(before + data, size)) == len(before + data)


@given(strategies.text("HJKLMQWYZ123456789", min_size=8, max_size=40), strategies.integers(8, 64))
def test_no_word_of_anybody_survives_in_any_parts(word: str, size: int) -> None:
    assert not set(b"HJKLMQWYZ123456789") & set(read(tlv(0x30, tlv(0x31, tlv(0x0C, word.encode()))), size)[12:])
    assert not set(b"HJKLMQWYZ123456789") & set(read(word.encode(), size))
