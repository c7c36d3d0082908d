"""What a card answers, without what tells whose it is: taken out by its type, in the same length.

Cards keep data as BER-TLV (ISO/IEC 7816-4, 5.2.2; ISO/IEC 8825-1), where a tag says what a value is. Structure stays:
tags, lengths, object identifiers, flags, small numbers, the days of validities, and the names that all cards of a kind
give to their objects. Texts go, and so do numbers of cards and certificates, keys and what keys made. What is no TLV,
or comes from the middle of a file, goes as text and bytes.

Imported when somebody records a trace, and never before.
"""

from __future__ import annotations

import re

from cardd.apdu import Command
from cardd.tlv import MAX_DEPTH

SELECT, READ_BINARY = 0xA4, 0xB0
# commands whose data names places, objects and algorithms, and nobody; what they are answered is data of the card's
OF_PLACES = frozenset((SELECT, 0x22, READ_BINARY, 0xB1, 0xB2, 0xB3, 0xC0, 0xCA, 0xCB))
BY_SHORT_ID = 0x80

BIT_STRING, OCTET_STRING, INTEGER = 0x03, 0x04, 0x02
KEPT = frozenset((0x01, 0x05, 0x06, 0x0A))  # BOOLEAN, NULL, OBJECT IDENTIFIER, ENUMERATED
DAYS = {0x17: 6, 0x18: 8}  # UTCTime and GeneralizedTime: the digits of the day
SOME_DAY = {0x17: b"000101", 0x18: b"20000101"}
# a certificate's Validity (RFC 5280, 4.1.2.5), two times: its days are those of thousands of cards; any other time may
# be a day of birth (RFC 3739, 3.2.2)
SEQUENCE, VALIDITY = 0x30, range(30, 37)
ISSUER = 5  # of a card's number in BCD, 5A (ISO/IEC 7812-1): the bytes that name its issuer, on all of its cards
SMALL, SHORT = (
    4,
    4,
)  # bytes of a number, and of a place among the files, that stand for nobody; a person's number in BCD has six
PLACES = (b"\x3f\x00", b"\xa0\x00", b"\xd2\x50", b"\xe8\x28")  # how paths and names of applications begin
PLACE_MAX = 16  # bytes of them (ISO/IEC 7816-4, 8.2.1.2): what is longer may be a key that begins so by chance
CONSTRUCTED, LONG_TAG, LONG, CLASSES = 0x20, 0x1F, 0x80, 0xC0
TAG_MAX = 3  # bytes of a tag (ISO/IEC 7816-4, 5.2.2.1): what goes on is none, and may be a number
PADDING = b"\x00\xff"
# a point of each curve, for a key's must be on it: the generators (SEC 2, 2.4.2 and 2.5.1)
POINTS = {
    65: bytes.fromhex(
        "046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"
        "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"
    ),
    97: bytes.fromhex(
        "04AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7"
        "3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F"
    ),
}
# the words of the names that cards of professionals give to their objects, the same on all of them
WORDS = frozenset(
    b"ACTIVITY AUT AUTHENTIFICATION CARTE CERTIFICAT CODE CONF CPA CPE CPF CPS CPS3 CPS3CL CPS3V3 CPS4 D DATA DE FR "
    b"PIN PORTEUR PRIV PS PUB PUK SIG SIGNATURE TECH TECHNIQUE".split()
)
TEXTS = frozenset((0x0C, 0x12, 0x13, 0x14, 0x16, 0x19, 0x1A, 0x1B))  # of one byte a letter, more or less
PLAIN = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x58 if 0x41 <= byte <= 0x5A else 0x78 if 0x61 <= byte <= 0x7A else 0
              for byte in range(256))  # fmt: skip
_NUMBERED = re.compile(rb"CPS_ACTIVITY_\d\d_PS")
_READABLE = re.compile(rb"[ -~]{8}")  # so begins a file of text, and none of objects: tags and lengths are no letters
_WORD = re.compile(rb"[A-Za-z0-9\x80-\xff]+")


class Masks:
    """One card's answers in the order in which they come: a file that is read in parts is masked as a whole."""

    def __init__(self) -> None:
        self._file: bytes | None = None  # what was read of it, from its begin on

    def data(self, command: Command) -> bytes | None:
        """Return the data of a command where it names places alone; None for all others."""
        return command.data if command.ins in OF_PLACES else None

    def answer(self, command: Command, answer: bytes) -> bytes:
        """Return what may be passed on of an answer, in its length."""
        if command.ins == READ_BINARY:
            return self._part(command, answer)
        if command.ins == SELECT:
            self._file = None
        return _objects(answer, len(answer)) if command.ins in OF_PLACES else bytes(len(answer))

    def _part(self, command: Command, answer: bytes) -> bytes:
        is_named = bool(command.p1 & BY_SHORT_ID)
        place = command.p2 if is_named else command.p1 << 8 | command.p2
        if place == 0:
            self._file = b""
        elif is_named or self._file is None or place > len(self._file):
            self._file = None
            return _plain(answer)
        self._file = (self._file or b"")[:place] + answer
        return _objects(self._file, None)[place:]


def _objects(data: bytes, size: int | None, depth: int = 0, *, keeps_days: bool = False) -> bytes:
    """Return a series of objects, masked; it will have ``size`` bytes when it is whole, None: it is a file's.

    What stands in more objects than any card's is no object here.
    """
    if depth > MAX_DEPTH:
        return _plain(data)
    made, place = bytearray(), 0
    while place < len(data):
        if data[place] in PADDING:
            made.append(data[place])
            place += 1
            continue
        if size is None and _READABLE.match(data, place):
            return bytes(made) + _plain(data[place:])
        head = _head(data[place:])
        if head is None:  # cut in its tag, or no object
            return bytes(made) + (_plain(data[place:]) if len(data) == size else data[place:])
        begins, length = place + head[0], head[1]
        if length < 0 or (size is not None and begins + length > size):
            return bytes(made) + _plain(data[place:])
        value = data[begins : begins + length]
        is_constructed = bool(data[place] & CONSTRUCTED)
        made += data[place:begins]
        if is_constructed:
            is_validity = data[place] == SEQUENCE and length in VALIDITY and value[:1] in (b"\x17", b"\x18")
            made += _objects(value, length, depth + 1, keeps_days=is_validity)
        else:
            made += _value(data[place], value, length, depth, keeps_days=keeps_days)
        place = begins + len(value)
    return bytes(made)


def _head(data: bytes) -> tuple[int, int] | None:
    """Return the sizes of an object's tag and length, and of its value, negative for none; None without a length.

    Of a length that is cut, what is there counts: it is less than the whole one.
    """
    tag = 1
    if data[0] & LONG_TAG == LONG_TAG:
        while tag < len(data) and data[tag] & LONG:
            tag += 1
        tag += 1
    if tag > TAG_MAX:
        return tag, -1
    if len(data) <= tag:
        return None
    if not data[tag] & LONG:
        return tag + 1, data[tag]
    count = data[tag] & 0x7F
    return tag + 1 + count, int.from_bytes(data[tag + 1 : tag + 1 + count]) if 1 <= count <= 3 else -1


def _value(tag: int, value: bytes, size: int, depth: int, *, keeps_days: bool) -> bytes:
    """Return a primitive value, masked; it may be cut, and has ``size`` bytes when it is whole."""
    if _names_nobody(tag, value, size):
        return value
    match tag:
        case 0x02:  # positive, odd and as long: a key's modulus must be
            made = (b"\x00" + b"\xd5" * size if value[:1] == b"\x00" else b"\x55" * size)[: len(value)]
        case 0x17 | 0x18:
            day = value[: DAYS[tag]] if keeps_days else SOME_DAY[tag][: len(value)]
            made = day + value[DAYS[tag] :].translate(bytes.maketrans(b"123456789", b"000000000"))
        case 0x03:  # its first byte tells how many bits of the last one are no part of it
            made = value[:1] + _bytes(value[1:], size - 1, depth)
        case 0x04:
            made = _bytes(value, size, depth)
        case 0x5A:
            made = value[:ISSUER] + bytes(0x0F if byte & 0x0F == 0x0F else 0 for byte in value[ISSUER:])
        case _ if tag in TEXTS or (tag & CLASSES and value.isascii() and value.decode().isprintable()):
            made = _text(value, is_cut=len(value) < size)
        case _:
            made = _plain(value)
    return made


def _names_nobody(tag: int, value: bytes, size: int) -> bool:
    """Return whether a value is structure: a flag, a small number, an algorithm, a place among the files."""
    if tag in (INTEGER, BIT_STRING):
        return size <= SMALL
    is_place = size <= PLACE_MAX and value.startswith(PLACES)
    if tag == OCTET_STRING:
        return size <= SHORT or is_place
    return tag in KEPT or bool(tag & CLASSES and (size <= 2 or is_place))


def _bytes(value: bytes, size: int, depth: int) -> bytes:
    """Return bytes without what they say; objects that stand in them are masked one by one."""
    if value[:1] == b"\x04" and size in POINTS:
        return POINTS[size][: len(value)]
    head = _head(value) if value[:1] in (b"0", b"1", b"\x03", b"\x04") else None
    if head is not None and sum(head) == size:
        return _objects(value, size, depth + 1)
    return bytes(len(value))


def _text(value: bytes, *, is_cut: bool) -> bytes:
    if _NUMBERED.fullmatch(value):
        return value

    def hidden(found: re.Match[bytes]) -> bytes:
        word, may_go_on = found[0], is_cut and found.end() == len(value)
        return word if word.upper() in WORDS and not may_go_on else _plain(word)

    return _WORD.sub(hidden, value)


def _plain(data: bytes) -> bytes:
    """Return letters and digits as such, and all other bytes as none."""
    return data.translate(PLAIN)
