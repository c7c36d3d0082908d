"""What is left of a card's answers in a recording: structure, in the same length, whatever the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from cardd.apdu import Command
from cardd.core.masks import POINTS, Masks
from cardd.tlv import MAX_DEPTH, encode

SELECT, READ = Command(0, 0xA4, 4, 0, b"\xa0\x00"), 0xB0
NAME, HIDDEN = b"Jeanne DUPONT 899700218896", b"Xxxxxx XXXXXX 000000000000"
NUMBER = bytes.fromhex("899786889618")  # of a person, in BCD
PLACE = encode(0x06, b"\x2b\x06\x01\x05\x05\x07\x09\x01")
BORN, SOME_DAY = encode(0x18, b"19650412120000Z"), encode(0x18, b"20000101000000Z")


def tlv(tag: int, value: bytes) -> bytes:
    """One object, its length in the long form."""
    return bytes((tag, 0x82, *len(value).to_bytes(2, "big"))) + value


def read(data: bytes, size: int = 256) -> bytes:
    """What a recording has of a file that is read in parts of this size."""
    masks = Masks()
    masks.answer(SELECT, b"")
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    return b"".join(masks.answer(Command(0, READ, *divmod(n * size, 256)), part) for n, part in enumerate(parts))


def asked(data: bytes) -> bytes:
    """What a recording has of an object that is asked for by its tag."""
    return Masks().answer(Command(0, 0xCB, 0x3F, 0xFF), data)


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


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (encode(0x7F21, encode(0x5F20, NAME) + PLACE), encode(0x7F21, encode(0x5F20, HIDDEN) + PLACE)),
        (encode(0x7FA101, encode(0x5FA020, NAME)), encode(0x7FA101, encode(0x5FA020, HIDDEN))),
        (encode(0x30, encode(0x0C, NAME) * 6), encode(0x30, encode(0x0C, HIDDEN) * 6)),
        (encode(0x30, encode(0x0C, NAME) * 12), encode(0x30, encode(0x0C, HIDDEN) * 12)),
        (b"\x30\x83\x00\x00\x1c" + encode(0x0C, NAME), b"\x30\x83\x00\x00\x1c" + encode(0x0C, HIDDEN)),
        (encode(0x30, encode(0x05, b"") + PLACE), encode(0x30, encode(0x05, b"") + PLACE)),
        (encode(0x30, PLACE + b"\x0c\x81\x00"), encode(0x30, PLACE + b"\x0c\x81\x00")),
        (PLACE + b"\x00\x00" + PLACE + b"\xff\xff", PLACE + b"\x00\x00" + PLACE + b"\xff\xff"),
        (encode(0x62, encode(0x80, b"\x01\x00") + encode(0x83, b"PS") + encode(0x84, b"\xa0\x00DUPONT")),
         encode(0x62, encode(0x80, b"\x01\x00") + encode(0x83, b"PS") + encode(0x84, b"\xa0\x00DUPONT"))),
        (encode(0x30, encode(0x02, b"4826") + encode(0x04, b"4826")),
         encode(0x30, encode(0x02, b"4826") + encode(0x04, b"4826"))),
        (encode(0x30, encode(0x18, b"20491130141512Z") + encode(0x18, b"20521130141512Z")),
         encode(0x30, encode(0x18, b"20491130000000Z") + encode(0x18, b"20521130000000Z"))),
    ],
)  # fmt: skip
def test_structure_stays_however_its_tags_and_lengths_are_written(told: bytes, left: bytes) -> None:
    assert read(told) == left
    assert asked(told) == left


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (encode(0x0C, b"AB"), encode(0x0C, b"XX")),
        (encode(0x80, b"ABC"), encode(0x80, b"XXX")),
        (encode(0x80, b"CPS \x01\x23\x67"), encode(0x80, b"XXX\x00\x00\x00x")),
        (encode(0x07, b"CPS, DUPONT"), encode(0x07, b"XXX\x00\x00XXXXXX")),
        (encode(0x04, encode(0x06, NUMBER)), encode(0x04, bytes(8))),
        (encode(0x02, NUMBER), encode(0x02, b"\x55" * 6)),
        (encode(0x04, b"\x3f\x00" * 8), encode(0x04, b"\x3f\x00" * 8)),
        (encode(0x04, b"\x3f\x00" + bytes(range(15))), encode(0x04, bytes(17))),  # longer than any place
        (encode(0x80, b"\xa0\x00" + b"\x99" * 15), encode(0x80, bytes(17))),
        (BORN, SOME_DAY),
        (encode(0x30, BORN), encode(0x30, SOME_DAY)),
    ],
)  # fmt: skip
def test_short_values_numbers_and_days_go_where_no_structure_has_them(told: bytes, left: bytes) -> None:
    assert read(told) == left


@pytest.mark.parametrize(
    "told",
    [
        b"\x30\x80" + encode(0x0C, NAME) + b"\x00\x00",  # a length without an end
        b"\x30\x84\x00\x00\x00\x1c" + encode(0x0C, NAME),  # and one that no card has
        b"\x0c\x7f" + NAME,  # longer than what it is in
        b"\x00" + NAME,
        b"\x1f" + NUMBER + b"\x00\x00",  # a tag that is too long for one
        b"\x1f" + NUMBER[:3],
        b"\x1f" + NUMBER[:1],  # and one without its end
        b"\x0c\x83AB",  # a length without its end, and nothing to come
    ],
)
def test_what_is_no_object_goes_as_text(told: bytes) -> None:
    left = told.translate(bytes(ord("X" if chr(n).isupper() else "x") if chr(n).isalpha() and n < 128
                                else ord("0") if chr(n).isdigit() and n < 128 else 0 for n in range(256)))  # fmt: skip
    assert asked(told) == left
    assert asked(encode(0x7F21, told)) == encode(0x7F21, left)


def test_text_behind_the_padding_of_a_file_goes_as_text() -> None:
    assert read(b"\x00" + NAME) == b"\x00" + HIDDEN.replace(b" ", b"\x00")


@pytest.mark.parametrize("end", [b"\x30", b"\x5f", b"\x5f\x81", b"\x0c\x82", b"\x0c\x82\x01"])
def test_a_part_of_a_file_may_end_in_a_tag_or_a_length(end: bytes) -> None:
    assert read(PLACE + end) == PLACE + end


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (encode(0x30, encode(0x02, b"\x00" + b"\x99" * 256) + encode(0x02, b"\x01\x00\x01")),
         encode(0x30, encode(0x02, b"\x00" + b"\xd5" * 256) + encode(0x02, b"\x01\x00\x01"))),
        (encode(0x31, encode(0x13, NAME)), encode(0x31, encode(0x13, HIDDEN))),
        (encode(0x03, bytes((3, *NUMBER))), encode(0x03, bytes((3, 0, 0, 0, 0, 0, 0)))),
        (encode(0x04, encode(0x30, PLACE)), encode(0x04, encode(0x30, PLACE))),
        # of short objects one in the other the first bytes are letters, and no text
        (encode(0x30, encode(0x30, encode(0x30, encode(0x30, encode(0x0C, NAME * 2))))),
         encode(0x30, encode(0x30, encode(0x30, encode(0x30, encode(0x0C, HIDDEN * 2)))))),
        (b"\x04" + b"\x99" * 64, POINTS[65]),
        (b"\x04" + b"\x99" * 96, POINTS[97]),
        (b"\x04" + b"\x99" * 65, bytes(66)),
        (b"\x02" + b"\x99" * 64, bytes(65)),
    ],
)  # fmt: skip
def test_what_stands_in_bytes_and_bits_is_masked_as_what_it_is(told: bytes, left: bytes) -> None:
    assert asked(encode(0x04, told)) == encode(0x04, left)
    assert asked(encode(0x03, b"\x00" + told)) == encode(0x03, b"\x00" + left)


@pytest.mark.parametrize("tag", [0x30, 0x04])
def test_objects_are_masked_one_by_one_as_deep_as_cards_have_them(tag: int) -> None:
    told = encode(0x30, PLACE)
    for _ in range(MAX_DEPTH - 1):
        told = encode(tag, told)
    assert asked(told) == told
    assert asked(encode(tag, told)).endswith(bytes(4))


def test_objects_inside_each_other_without_end_go_as_text() -> None:
    told = b""
    while len(told) < 16_000:
        told = tlv(0x30, told) if len(told) % 3 else tlv(0x04, told)

    assert len(Masks().answer(Command(0, 0xCA, 0, 0), told)) == len(told)


def test_what_comes_from_the_middle_of_a_file_goes_as_text() -> None:
    masks = Masks()
    masks.answer(SELECT, b"")
    assert masks.answer(Command(0, READ, 1, 0), tlv(0x0C, b"CPS")) == b"\x00\x00\x00\x00XXX"


def test_a_file_that_is_read_in_parts_is_masked_as_a_whole() -> None:
    told, left = (encode(0x30, encode(0x0C, name * 11) + PLACE) for name in (NAME, HIDDEN))
    assert len(told) > 256
    assert read(told) == left


def test_a_word_that_may_go_on_in_the_next_part_is_not_shown() -> None:
    told = encode(0x0C, b"CARTE DESMET DE")
    masks = Masks()
    first = masks.answer(Command(0, READ, 0, 0), told[:10])
    assert first == told[:2] + b"CARTE XX"
    assert masks.answer(Command(0, READ, 0, 10), told[10:]) == b"XXXX DE"


def test_another_file_that_is_read_in_its_middle_is_not_taken_for_the_first_one() -> None:
    masks = Masks()
    first = encode(0x30, PLACE * 2)
    assert masks.answer(Command(0, READ, 0, 0), first[:12]) == first[:12]
    masks.answer(Command(0, 0x20, 0, 1), b"")  # a PIN selects none
    assert masks.answer(Command(0, READ, 0, 12), first[12:]) == first[12:]
    masks.answer(SELECT, b"")
    assert masks.answer(Command(0, READ, 0, 12), PLACE) == bytes(len(PLACE))


def test_a_file_that_its_short_name_selects_begins_anew_and_its_middle_goes_as_text() -> None:
    masks = Masks()
    first = encode(0x30, PLACE * 2)
    assert masks.answer(Command(0, READ, 0, 0), first[:12]) == first[:12]
    assert masks.answer(Command(0, READ, 0x9C, 12), PLACE) == bytes(len(PLACE))
    assert masks.answer(Command(0, READ, 0, 12), PLACE) == bytes(len(PLACE))  # of the file with the short name, too
    assert masks.answer(Command(0, READ, 0x9C, 0), first[:12]) == first[:12]
    assert masks.answer(Command(0, READ, 0, 12), first[12:]) == first[12:]


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
