"""BER, part by part: where each lies, with lengths of every form, and what is refused before it is read."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest

from cardd.errors import DocumentMalformed
from cardd.formats import ber
from cardd.formats.ber import MAX_DEPTH, BerFile, Part
from cardd.formats.document import PIECE

END = b"\0\0"
Ask = Callable[[BerFile], object]


def file(*parts: bytes) -> BerFile:
    return BerFile(BytesIO(b"".join(parts)))


def malformed(content: bytes, ask: Ask) -> bool:
    """Whether it is refused by its name."""
    with pytest.raises(DocumentMalformed) as refused:
        ask(file(content))
    return refused.value.params == {"format": "CMS"}


def walked(of: BerFile, part: Part | None = None, depth: int = 0) -> None:
    """Look at all that is inside."""
    for child in of.children(part or of.whole(), depth):
        if child.tag & 0x20:
            walked(of, child, depth + 1)


@pytest.mark.parametrize(
    ("header", "size"),
    [(b"\x30\x05", 5), (b"\x30\x81\x05", 5), (b"\x30\x82\0\5", 5), (b"\x30\x84\0\0\0\5", 5), (b"\x30\0", 0),
     (b"\x30\x7f", 127), (b"\x30\x81\x80", 128), (b"\x30\x82\x01\x00", 256)],
)  # fmt: skip
def test_a_length_may_be_written_in_several_forms(header: bytes, size: int) -> None:
    begin = len(header)
    assert file(header, bytes(size)).whole() == Part(0x30, 0, begin, begin + size, begin + size)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x30", b"\x30\x05abcd", b"\x30\x05abcdef", b"\x30\x82\x00", b"\x30\x85\0\0\0\0\5abcde", b"\x3f\x05abcde",
     b"\x1f\x01a", b"\x04\x80ab\0\0", b"\x04\x80\0\0", b"\x30\x80", b"\x30\x80\x04\x01a", b"\x30\x80\0\0a"],
)  # fmt: skip
def test_what_is_not_one_whole_object_is_malformed(content: bytes) -> None:
    assert malformed(content, BerFile.whole)


def test_the_parts_of_an_object_lie_one_behind_the_other() -> None:
    read = file(b"\x30\x07\x02\x01a\x31\x02\x05\x00")
    first, second = read.children(read.whole())
    assert (first, second) == (Part(2, 2, 4, 5, 5), Part(0x31, 5, 7, 9, 9))
    assert [*read.children(second)] == [Part(5, 7, 9, 9, 9)]
    assert [*file(b"\x30\0").children(file(b"\x30\0").whole())] == []


def test_a_part_that_passes_the_end_of_what_it_is_in_is_malformed() -> None:
    for content in (
        *(b"\x30\3\2\2a", b"\x30\4\x31\2\2\1", b"\x30\5\x31\x80\2\1a"),
        *(b"\x30\7\x31\2\2\3\5\1a", b"\2\1a"),
    ):
        assert malformed(content, walked)


def test_an_object_of_no_length_ends_where_two_zeros_stand() -> None:
    read = file(b"\x30\x80\x24\x80\x04\x01a", END, b"\x02\x00", END)
    whole = read.whole()
    assert whole == Part(0x30, 0, 2, 11, 13)
    segments, number = read.children(whole)
    assert (segments, number) == (Part(0x24, 2, 4, 7, 9), Part(2, 9, 11, 11, 11))
    assert [*read.octets(segments)] == [b"a"]
    assert read.bytes_of(segments, 7) == b"\x24\x80\x04\x01a\0\0"


def test_a_few_parts_are_taken_where_there_are_no_more_and_the_kind_is_right() -> None:
    content = b"\x30\x06\x02\x01a\x02\x01b"
    read = file(content)
    assert len(read.few(read.whole(), 2)) == len(read.few(read.whole(), 3, 0x30)) == 2
    for ask in (
        lambda of: of.few(of.whole(), 1),
        lambda of: of.few(of.whole(), 2, 0x31),
        lambda of: of.few(next(of.children(of.whole())), 2),
    ):
        assert malformed(content, ask)


def test_the_bytes_of_a_part_are_given_with_its_header_up_to_a_limit() -> None:
    content = b"\x30\x05\x04\x03abc"
    read = file(content)
    (part,) = read.children(read.whole())
    assert (read.bytes_of(part, 5), read.bytes_of(read.whole(), 7)) == (b"\x04\x03abc", content)
    assert malformed(content, lambda of: of.bytes_of(of.whole(), 6))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
def test_an_octet_string_comes_in_pieces(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    read = file(b"\x04\x84", size.to_bytes(4, "big"), content[:size])
    pieces = [*read.octets(read.whole())]
    assert b"".join(pieces) == content[:size]
    assert [len(piece) for piece in pieces] == [PIECE] * (size // PIECE) + [size % PIECE] * bool(size % PIECE)


def test_segments_are_octet_strings_and_may_have_segments_themselves() -> None:
    read = file(b"\x24\x0b\x04\x01a\x24\x03\x04\x01b\x04\x01c")
    assert b"".join(read.octets(read.whole())) == b"abc"
    for content in (b"\x24\x03\x02\x01a", b"\x30\x03\x04\x01a", b"\x02\x01a", b"\x24\x05\x30\x03\x04\x01a"):
        assert malformed(content, lambda of: [*of.octets(of.whole())])


def nested(depth: int, tag: int, *, lengths: bool) -> bytes:
    """Objects, so many of them, one in the other; the last one is empty."""
    content = b""
    for _ in range(depth):
        content = bytes([tag, len(content)]) + content if lengths else bytes([tag, 0x80]) + content + END
    return content


def octets(of: BerFile) -> list[bytes]:
    return [*of.octets(of.whole())]


def test_an_object_of_a_length_holds_others_of_none_as_deep() -> None:
    for depth, is_read in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        inside = nested(depth, 0x30, lengths=False)
        content = b"\x30" + bytes([len(inside)]) + inside
        if is_read:
            read = file(content)
            assert len(read.few(read.whole(), 1)) == 1
        else:
            assert malformed(content, lambda of: of.few(of.whole(), 1))


def test_a_primitive_object_has_no_parts_even_if_it_is_empty() -> None:
    assert malformed(b"\x02\0", lambda of: [*of.children(of.whole())])


@pytest.mark.parametrize("lengths", [True, False])
def test_objects_are_so_deep_and_no_deeper(lengths: bool) -> None:
    most = MAX_DEPTH + 1 if lengths else MAX_DEPTH
    assert octets(file(nested(most, 0x24, lengths=lengths))) == []
    assert malformed(nested(most + 1, 0x24, lengths=lengths), octets)


def test_a_file_has_so_many_parts_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ber, "MAX_PARTS", 4)
    for count, is_read in ((3, True), (4, False)):
        content = b"\x30" + bytes([3 * count]) + b"\x02\x01a" * count
        if is_read:
            walked(file(content))
        else:
            assert malformed(content, walked)


def test_what_was_walked_through_once_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    read = file(nested(MAX_DEPTH, 0x30, lengths=False))
    read.whole()
    monkeypatch.setattr(ber, "MAX_PARTS", 0)
    walked(read, read.whole())
