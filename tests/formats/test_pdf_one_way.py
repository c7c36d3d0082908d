"""Updates of signed PDF files that readers understand in different ways: none of them leaves the signature valid."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cardd.documents.verdicts import Verdict
from tests.formats.test_verdict_corpus import signed
from tests.rig.pdf import pdf, words_of
from tests.rig.pdf_changes import empty_field, updated
from tests.rig.verifying import Desk, codes, verifying

CONTENT = 6  # the object's number
SHOWN, OTHER = b"ten milligrams", b"a hundred grams"


def drawn(text: bytes) -> bytes:
    lines = b"BT /F1 24 Tf 50 700 Td (" + text + b") Tj ET"
    return b"<< /Length %d >>\nstream\n" % len(lines) + lines + b"\nendstream"


def note(text: bytes) -> bytes:
    """A page with these words, without a stream: it needs no line's end."""
    words = b"/Type /Annot /Subtype /FreeText /Rect [50 600 400 700] /DA (/Helv 24 Tf) /Contents (" + text + b")"
    return b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Annots [ << " + words + b" >> ] >>"


def order() -> bytes:
    """One page with a dose, corrected before anybody signed."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 6 0 R"
    page += b" /Resources << /Font << /F1 5 0 R >> >> >>"
    made = pdf(extra=[page, font, drawn(OTHER)]).replace(b"/Kids [3 0 R]", b"/Kids [4 0 R]")
    return appended(made, [(CONTENT, drawn(SHOWN))], lambda places: table(CONTENT, places[CONTENT]))


def entry(place: int, kind: bytes = b"n") -> bytes:
    return b"%010d 00000 %s \n" % (place, kind)


def table(number: int, *places: int) -> bytes:
    """A table with these entries, each of them for this object."""
    return b"xref\n" + b"".join(b"%d 1\n" % number + entry(place) for place in places)


Places = dict[int, int]


def appended(file: bytes, objects: list[tuple[int, bytes]], cross: Callable[[Places], bytes]) -> bytes:
    """The file with these objects behind it, and a table of them."""
    out, places = file, Places()
    for number, content in objects:
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    start = len(out)
    return out + cross(places) + _trailer(file) + b"startxref\n%d\n%%%%EOF\n" % start


def _trailer(file: bytes) -> bytes:
    size, root, last = _facts(file)
    return b"trailer\n<< /Size %d /Root %s /Prev %d >>\n" % (size, root, last)


def _facts(file: bytes) -> tuple[int, bytes, int]:
    """The last trailer's size and root, and where its table is."""
    size, root = re.findall(rb"/Size (\d+)", file)[-1], re.findall(rb"/Root (\d+ 0 R)", file)[-1]
    return int(size), root, int(re.findall(rb"startxref\s+(\d+)", file)[-1])


def streamed(file: bytes, objects: list[tuple[int, bytes]], rows: Callable[[Places], list[tuple[int, ...]]]) -> bytes:
    """Return the file with a cross-reference stream too, of these rows: number, kind, place, generation or index."""
    size, root, last = _facts(file)
    out, places = file, Places()
    for number, content in objects:
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    start = places[size] = len(out)
    found = sorted([*rows(places), (size, 1, start, 0)])
    data = b"".join(bytes([kind]) + place.to_bytes(4) + more.to_bytes(2) for _, kind, place, more in found)
    index = b" ".join(b"%d 1" % number for number, *_ in found)
    head = b"/Type /XRef /Size %d /W [1 4 2] /Index [%s] /Root %s /Prev %d" % (size + 2, index, root, last)
    out += b"%d 0 obj\n<< %s /Length %d >>\nstream\n" % (size, head, len(data)) + data + b"\nendstream\nendobj\n"
    return out + b"startxref\n%d\n%%%%EOF\n" % start


def behind_the_end(file: bytes) -> bytes:
    """An update in the very line of the last end, so far behind it that others find its own."""
    size, root, last = _facts(file)
    out = file.rstrip() + b" " * 1100
    place = len(out)
    out += b"4 0 obj " + note(OTHER) + b" endobj "
    start = len(out)
    out += (
        b"xref 4 1 "
        + entry(place).replace(b"\n", b" ")
        + b"trailer << /Size %d /Root %s /Prev %d >>" % (size, root, last)
    )
    return out + b" startxref %d %%%%EOF" % start


def with_an_empty_update(file: bytes) -> bytes:
    return appended(file, [], lambda _: b"xref\n0 0\n")


def another_end_in_the_last_line(file: bytes) -> bytes:
    changed = appended(file, [(CONTENT, drawn(OTHER))], lambda places: table(CONTENT, places[CONTENT]))
    start = len(changed)
    quiet = changed + b"xref\n0 0\n" + _trailer(file) + b"startxref\n%d\n%%%%EOF" % start
    return quiet + b" startxref %d %%%%EOF" % _facts(changed)[2]


def words_behind_the_place_of_the_table(file: bytes) -> bytes:
    changed = appended(file, [(CONTENT, drawn(OTHER))], lambda places: table(CONTENT, places[CONTENT]))
    return (
        changed
        + b"xref\n0 0\n"
        + _trailer(file)
        + b"startxref %d and\n%d\n%%%%EOF\n" % (_facts(changed)[2], len(changed))
    )


def final_of(file: bytes) -> int:
    return [found.start() for found in re.finditer(rb"6 0 obj", file)][1]


def draft_of(file: bytes) -> int:
    return file.index(b"6 0 obj")


def two_entries(file: bytes) -> bytes:
    return appended(file, [(CONTENT, drawn(OTHER))], lambda places: table(CONTENT, places[CONTENT], final_of(file)))


def two_entries_for_a_draft(file: bytes) -> bytes:
    return appended(file, [], lambda _: table(CONTENT, draft_of(file), final_of(file)))


def entry_of_an_unknown_kind(file: bytes) -> bytes:
    return streamed(file, [(CONTENT, drawn(OTHER))], lambda places: [(CONTENT, 3, places[CONTENT], 0)])


def object_that_no_table_names(file: bytes) -> bytes:
    return appended(file, [(CONTENT, drawn(OTHER))], lambda _: b"xref\n0 0\n")


def two_of_a_number_in_an_object_stream(file: bytes) -> bytes:
    size, page = _facts(file)[0] + 1, re.findall(rb"\n4 0 obj\n(.*?)\nendobj", file, re.DOTALL)[-1]
    head = b"4 0 4 %d " % (len(page) + 1)
    data = head + page + b" " + note(OTHER)
    held = b"<< /Type /ObjStm /N 2 /First %d /Length %d >>\nstream\n" % (len(head), len(data)) + data + b"\nendstream"
    return streamed(file, [(size, held)], lambda places: [(4, 2, size, 0), (size, 1, places[size], 0)])


SEEN_BY_POPPLER: dict[str, Callable[[bytes], bytes]] = {
    "behind the end of an update": lambda file: behind_the_end(with_an_empty_update(file)),
    "another end in the last line": another_end_in_the_last_line,
    "words behind the table's place": words_behind_the_place_of_the_table,
    "two entries": two_entries,
    "two entries for a draft": two_entries_for_a_draft,
    "an entry of an unknown kind": entry_of_an_unknown_kind,
}
NOT_SEEN = {
    "an object that no table names": object_that_no_table_names,
    "two of a number in an object stream": two_of_a_number_in_an_object_stream,
}
HONEST: dict[str, Callable[[bytes], bytes]] = {
    "nothing": with_an_empty_update,
    "a line's end": lambda file: file + b"\r\n",
    "a field for the next signature": lambda file: updated(file, empty_field),
    "the same objects again": lambda file: appended(file, [], lambda _: table(CONTENT, final_of(file))),
    "a stream as the table": lambda file: streamed(file, [], lambda _: []),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with verifying(tmp_path) as made:
        yield made


async def test_a_change_that_only_some_readers_see_makes_the_signature_invalid(desk: Desk, tmp_path: Path) -> None:
    first, there = signed(desk, order()), tmp_path / "changed.pdf"
    for name, change in {**SEEN_BY_POPPLER, **NOT_SEEN}.items():
        there.write_bytes(file := change(first))
        found = await desk.verify(file)
        told = found.verdict, [codes(one) for one in found.signatures]
        shown = OTHER if name in SEEN_BY_POPPLER else SHOWN
        assert (name, *told, shown.decode() in words_of(there)) == (name, Verdict.INVALID, [["changed_later"]], True)
    changed = signed(desk, two_entries(first))
    assert [codes(one) for one in (await desk.verify(changed)).signatures] == [["changed_later"], []]


async def test_an_update_that_changes_nothing_leaves_it_valid(desk: Desk) -> None:
    first = signed(desk, order())
    for name, change in HONEST.items():
        assert (name, (await desk.verify(change(first))).verdict) == (name, Verdict.VALID)
