"""BER-TLV as cards use it: FCP templates, EF.DIR records, security objects and PKCS#15 directories.

The parser treats its input as hostile: definite lengths only, bounded depth and size, and every length checked
against what is there. Source: ISO/IEC 7816-4 section 5.2 and annex E, ITU-T X.690 section 8.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from cardd.errors import CardGarbled
from cardd.values import Value

MAX_DEPTH = 16
MAX_NODES = 4096
SEQUENCE, SET = 0x30, 0x31


class Tlv(Value):
    """One data object: its tag as it is written (``0x7F41``, ``0x30``), and its value."""

    tag: int
    value: bytes

    @property
    def children(self) -> list[Tlv]:
        """The data objects inside the value. Raises CardGarbled when they do not fill it exactly."""
        return list(parse(self.value))

    def find(self, *path: int) -> Tlv | None:
        """The first descendant reached by these tags, one level each; None when there is none."""
        if len(path) > MAX_DEPTH:
            raise CardGarbled(what="data objects nested too deep")
        here: Tlv | None = self
        for tag in path:
            here = next((child for child in here.children if child.tag == tag), None) if here else None
        return here

    def encode(self) -> bytes:
        """Tag, length and value."""
        return encode(self.tag, self.value)


def parse(data: bytes, *, padded: bool = False) -> Iterator[Tlv]:
    """Yield the data objects that follow each other in ``data``.

    ``padded`` accepts what cards leave behind the last object of a transparent file: 00 or FF up to the end.
    Raises CardGarbled on a length that passes the end, an indefinite length or too many objects.
    """
    offset, count = 0, 0
    while offset < len(data):
        if padded and data[offset] in (0x00, 0xFF):
            return
        tag, offset = _tag(data, offset)
        length, offset = _length(data, offset)
        count += 1
        if offset + length > len(data) or count > MAX_NODES:
            raise CardGarbled(what="a data object longer than its file")
        yield Tlv(tag, data[offset : offset + length])
        offset += length


def parse_one(data: bytes) -> Tlv:
    """The first data object of ``data``; what follows is ignored. Raises CardGarbled when there is none."""
    found = next(parse(data), None)
    if found is None:
        raise CardGarbled(what="an empty data object")
    return found


def in_order(certificate: bytes) -> bytes:
    """An X.509 certificate whose names have the values of each part in DER's order (X.690, 11.6), for strict readers.

    Some older cards have given name, number and name in another order, and ``cryptography`` refuses them. Only what is
    to be read is put in order: the authority's signature covers the certificate as it was. What is no certificate is
    given back as it is.
    """
    try:
        body = parse_one(certificate).find(SEQUENCE)
        names = [part for part in body.children if part.tag == SEQUENCE] if body else []
        for each in [value for name in names for value in name.children if value.tag == SET]:
            ordered = b"".join(sorted(one.encode() for one in each.children))
            certificate = certificate.replace(each.value, ordered) if len(ordered) == len(each.value) else certificate
    except CardGarbled:
        pass
    return certificate


def announced_size(data: bytes) -> int:
    """Bytes of the whole first data object, header included, even when ``data`` holds only its beginning."""
    _, offset = _tag(data, 0)
    length, offset = _length(data, offset)
    return offset + length


def encode(tag: int, value: bytes) -> bytes:
    """Return one data object with the shortest length that fits."""
    return header(tag, len(value)) + value


def header(tag: int, size: int) -> bytes:
    """Return what stands before a value of this size: for one that is not in memory."""
    head = tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
    if size < 0x80:
        return head + bytes((size,))
    width = (size.bit_length() + 7) // 8
    return head + bytes((0x80 | width,)) + size.to_bytes(width, "big")


def _tag(data: bytes, offset: int) -> tuple[int, int]:
    start = offset
    if offset >= len(data):
        raise CardGarbled(what="a data object without a tag")
    offset += 1
    if data[start] & 0x1F == 0x1F:
        while offset < len(data) and data[offset] & 0x80 and offset - start < 3:
            offset += 1
        offset += 1
    if offset > len(data):
        raise CardGarbled(what="a tag cut short")
    return int.from_bytes(data[start:offset], "big"), offset


def _length(data: bytes, offset: int) -> tuple[int, int]:
    if offset >= len(data):
        raise CardGarbled(what="a data object without a length")
    first, offset = data[offset], offset + 1
    if first < 0x80:
        return first, offset
    width = first & 0x7F
    if width == 0 or width > 3 or offset + width > len(data):
        raise CardGarbled(what="a length that no card file can have")
    return int.from_bytes(data[offset : offset + width], "big"), offset + width
