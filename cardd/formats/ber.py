"""BER in a file that may be large (ITU-T X.690, section 8.1): where its parts lie, without reading what is inside.

Indefinite lengths and octet strings in segments are read: other programs stream their messages that way. The input is
hostile: depth and number of parts have limits, and no length passes what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from cardd.errors import DocumentMalformed
from cardd.formats.document import PIECE, size_of
from cardd.values import Value

MAX_DEPTH = 16
MAX_PARTS = 500_000
OCTET_STRING, SEGMENTED = 0x04, 0x24
CONSTRUCTED = 0x20


class Part(Value):
    """One data object by its offsets in the file: header, content, the content's end, and what comes next."""

    tag: int
    start: int
    content: int
    end: int
    next: int


class BerFile:
    """One file. Every method raises DocumentMalformed when it is not BER."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = size_of(file)
        self._parts = 0
        self._indefinite: dict[int, Part] = {}  # what was once walked through to find its end

    def whole(self) -> Part:
        """The one data object that the file is."""
        part = self._at(0, self._size, 0)
        if part.next != self._size:
            raise DocumentMalformed(format="CMS")
        return part

    def children(self, part: Part, depth: int = 0) -> Iterator[Part]:
        """The data objects inside a constructed one."""
        if not part.tag & CONSTRUCTED or depth > MAX_DEPTH:
            raise DocumentMalformed(format="CMS")
        offset = part.content
        while offset < part.end:
            child = self._at(offset, part.end, depth)
            yield child
            offset = child.next

    def few(self, part: Part, most: int, tag: int | None = None) -> list[Part]:
        """Return the children of a constructed object, when there are no more than ``most`` and it has this tag."""
        if tag is not None and part.tag != tag:
            raise DocumentMalformed(format="CMS")
        children = list(islice(self.children(part), most + 1))
        if len(children) > most:
            raise DocumentMalformed(format="CMS")
        return children

    def bytes_of(self, part: Part, limit: int) -> bytes:
        """The whole data object, header included; at most ``limit`` bytes."""
        if part.next - part.start > limit:
            raise DocumentMalformed(format="CMS")
        return self._read(part.start, part.next - part.start)

    def octets(self, part: Part, depth: int = 0) -> Iterator[bytes]:
        """The value of an octet string, in pieces."""
        if part.tag == SEGMENTED:
            for segment in self.children(part, depth):
                yield from self.octets(segment, depth + 1)
        elif part.tag == OCTET_STRING:
            for offset in range(part.content, part.end, PIECE):
                yield self._read(offset, min(PIECE, part.end - offset))
        else:
            raise DocumentMalformed(format="CMS")

    def _at(self, offset: int, limit: int, depth: int) -> Part:
        if offset in self._indefinite:
            return self._indefinite[offset]
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise DocumentMalformed(format="CMS")
        tag, first = self._read(offset, 2)
        if first == 0x80:
            return self._walked(tag, offset, limit, depth + 1)
        width = first & 0x7F if first & 0x80 else 0
        length = int.from_bytes(self._read(offset + 2, width), "big") if width else first
        content = offset + 2 + width
        # a high tag number and a length of more than four bytes are nothing that a CMS message has
        if tag & 0x1F == 0x1F or width > 4 or content + length > limit:
            raise DocumentMalformed(format="CMS")
        return Part(tag, offset, content, content + length, content + length)

    def _walked(self, tag: int, start: int, limit: int, depth: int) -> Part:
        """An object of indefinite length, which two zero bytes end."""
        if depth > MAX_DEPTH or not tag & CONSTRUCTED:
            raise DocumentMalformed(format="CMS")
        offset = start + 2
        while (child := self._at(offset, limit, depth)).tag:
            offset = child.next
        part = Part(tag, start, start + 2, child.start, child.next)
        self._indefinite[start] = part
        return part

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        read = self._file.read(size)
        if len(read) != size:
            raise DocumentMalformed(format="CMS")
        return read
