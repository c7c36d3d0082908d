"""Whether what was appended to a signed PDF can be read in one way only.

Readers differ in what they make of an odd file. Of two entries for one object pyHanko takes the last, poppler and MuPDF
the first; pyHanko finds the end of a file where others find another one behind it; and a table that a reader does not
understand has it look for objects everywhere. A change that pyHanko does not see must not be there for anybody. So only
plain updates are taken, as all programs write them: tables that name each object once, nothing but the objects that
they name, and the end at the end (ISO 32000-1, sections 7.5.4 to 7.5.8).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import cast

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import XRefSectionType, read_object_header

END_SEEN = 1024  # bytes at a file's end in which readers look for it
APPENDED_MAX = 32 * 1024 * 1024  # bytes
KEYWORD = 5  # bytes: "xref" and a line's end
ENTRY = 20  # bytes
_END = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*\Z")
_OBJECT = re.compile(rb"(?<!\d)(\d+)[\0\s]+(\d+)[\0\s]+obj")
_TABLE = re.compile(rb"xref[ \r\n]+")
_SUBSECTION = re.compile(rb"(\d+) (\d+) ?(?:\r\n|\r|\n)")
_ENTRY = re.compile(rb"\d{10} \d{5} [nf](?: \r| \n|\r\n)")
_TRAILER = re.compile(rb"\s*trailer\s*\Z")
Object = tuple[int, int, int]  # number, generation, place in the file


def reads_in_one_way(reader: PdfFileReader, signed: int, end: int) -> bool:
    """Return whether the file is plain behind ``end``, where what was signed with this revision ends.

    Raises whatever pyHanko does for a damaged file.
    """
    size = reader.stream.seek(0, os.SEEK_END)
    if size - end > APPENDED_MAX or not _ends_plainly(reader, size):
        return False
    later = range(signed + 1, reader.xrefs.total_revisions)
    if not all(_names_each_once(reader, revision) for revision in later):
        return False
    if not all(_holds_each_once(reader, stream) for stream in _object_streams(reader, later)):
        return False
    named = {found for revision in later for found in _named(reader, revision) if found[2] >= end}
    return set(_objects(_read(reader, end, size), end)) == named


def _read(reader: PdfFileReader, start: int, end: int) -> bytes:
    reader.stream.seek(start)
    return cast(bytes, reader.stream.read(end - start))


def _ends_plainly(reader: PdfFileReader, size: int) -> bool:
    found = _END.search(_read(reader, max(0, size - END_SEEN), size))
    return found is not None and int(found[1]) == reader.xrefs.get_startxref_for_revision(
        reader.xrefs.total_revisions - 1
    )


def _objects(octets: bytes, start: int) -> Iterator[Object]:
    """Each object that a reader finds that looks for them without a table."""
    for found in _OBJECT.finditer(octets):
        yield int(found[1]), int(found[2]), start + found.start()


def _named(reader: PdfFileReader, revision: int) -> Iterator[Object]:
    """Each object that the revision's table says to stand in the file, and the table itself where it is one."""
    for number, (generation, place) in reader.xrefs.get_xref_data(revision).standard_xrefs.items():
        yield number, generation, place
    about = reader.xrefs.get_xref_container_info(revision)
    if about.stream_ref is not None:
        yield about.stream_ref.idnum, about.stream_ref.generation, about.start_location


def _names_each_once(reader: PdfFileReader, revision: int) -> bool:
    """Return whether the table is where it should be, and has one entry, of a known kind, for each object."""
    about, found = reader.xrefs.get_xref_container_info(revision), reader.xrefs.get_xref_data(revision)
    is_table = about.xref_section_type is XRefSectionType.STANDARD
    start = about.start_location - (KEYWORD if is_table else 0)
    if _read(reader, about.declared_startxref, start).strip():
        return False
    numbers = _of_table(_read(reader, start, about.end_location)) if is_table else _of_stream(reader, start)
    understood = found.standard_xrefs.keys() | found.freed.keys() | found.xrefs_in_objstm.keys()
    return numbers is not None and len(set(numbers)) == len(numbers) and set(numbers) - {0} == understood - {0}


def _of_table(octets: bytes) -> list[int] | None:
    """The numbers in a table, up to its trailer; None for one that is written otherwise than ISO 32000 has it."""
    begin = _TABLE.match(octets)
    if not begin:
        return None
    numbers, place = list[int](), begin.end()
    while head := _SUBSECTION.match(octets, place):
        first, count = int(head[1]), int(head[2])
        place = head.end()
        if place + ENTRY * count > len(octets):
            return None
        for number in range(count):
            if not _ENTRY.match(octets, place):
                return None
            numbers.append(first + number)
            place += ENTRY
    return numbers if _TRAILER.match(octets, place) else None


def _of_stream(reader: PdfFileReader, start: int) -> list[int]:
    reader.stream.seek(start)
    number, generation = read_object_header(reader.stream, strict=True)
    reference = generic.Reference(number, generation, pdf=reader)
    table = generic.StreamObject.read_from_stream(reader.stream, reference)
    index = [int(number) for number in table.get("/Index", [0, table["/Size"]])]
    return [
        number for first, count in zip(index[::2], index[1::2], strict=True) for number in range(first, first + count)
    ]


def _object_streams(reader: PdfFileReader, revisions: range) -> set[int]:
    """Return the numbers of the streams in which objects of these revisions stand."""
    tables = (reader.xrefs.get_xref_data(revision).xrefs_in_objstm.values() for revision in revisions)
    return {place.obj_stream_id for places in tables for place in places}


def _holds_each_once(reader: PdfFileReader, number: int) -> bool:
    stream = cast(generic.StreamObject, generic.Reference(number, 0, pdf=reader).get_object())
    count, first = int(stream["/N"]), int(stream["/First"])
    numbers = [int(word) for word in stream.data[:first].split()][::2]
    return len(numbers) == count == len(set(numbers))
