"""p11-kit's RPC protocol as bytes: frames, and the values in them; nothing here waits, and nothing grows without bound.

Numbers are big-endian. A frame: the tag of the call (u32), the sizes of options and body (u32 each), options, body. A
body: the function's number and its signature, then the values that the signature names. What is not so is Malformed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from cardd.values import Value

HEADER_SIZE = 12
OPTIONS_MAX = 4 * 1024
BODY_MAX = 1024 * 1024
DRAINED_MAX = 64 * 1024 * 1024  # of a body that is too large: it is read and dropped
SIGNATURE_MAX = 32
COUNT_MAX = 256  # values in an array
ROOM_MAX = BODY_MAX
TAG_MIN = 1
NOTHING = 0xFFFFFFFF  # NULL in the place of a length; of a buffer: one that is there and has no room

_HEADER = struct.Struct(">III")
_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")

# the attributes whose value is one byte (CK_BBOOL) or a number (CK_ULONG); of others, bytes
BYTE_ATTRIBUTES = frozenset(
    (0x1, 0x2, 0x86, *range(0x103, 0x10D), *range(0x162, 0x166), 0x170, 0x171, 0x200, 0x202, 0x210, 0x301, 0x302, 0x405)
)
ULONG_ATTRIBUTES = frozenset(
    (0x0, 0x80, 0x87, 0x88, 0x100, 0x121, 0x133, 0x134, 0x160, 0x161, 0x166, 0x201, 0x300, *range(0x400, 0x405), 0x406,
     0x500)
)  # fmt: skip
MECHANISM_ARRAYS = frozenset((0x40000600,))
TEMPLATES = frozenset((0x40000211, 0x40000212, 0x40000213))
PSS, OAEP = 0xD, 0x9  # the mechanisms with parameters that are understood

AttributeValue = int | bytes


class Malformed(Exception):
    """Bytes that no client of this protocol sends."""


class Request(Value):
    """One call: ``tag`` is the client's name for it; ``body`` is None when it was too large and has been dropped."""

    tag: int
    body: bytes | None


class Frames:
    """The requests in what a connection receives; none has a larger body than ``body_max``."""

    def __init__(self, body_max: int = BODY_MAX) -> None:
        self._body_max = body_max
        self._received = bytearray()
        self._dropping = 0
        self._dropped_tag = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a request waits for the rest of it."""
        return not self._received and not self._dropping

    def add(self, data: bytes | memoryview) -> None:
        """Take what came."""
        self._received += data

    def take(self) -> Request | None:
        """Return the next request, None where it is not whole. Raises Malformed."""
        if self._dropping:
            dropped = min(self._dropping, len(self._received))
            del self._received[:dropped]
            self._dropping -= dropped
            return None if self._dropping else Request(self._dropped_tag, None)
        if len(self._received) < HEADER_SIZE:
            return None
        tag, options, body = _HEADER.unpack_from(self._received)
        if tag < TAG_MIN or options > OPTIONS_MAX or body > DRAINED_MAX:
            raise Malformed
        if body > self._body_max:
            del self._received[:HEADER_SIZE]
            self._dropping, self._dropped_tag = options + body, tag
            return self.take()
        end = HEADER_SIZE + options + body
        if len(self._received) < end:
            return None
        whole = bytes(memoryview(self._received)[HEADER_SIZE + options : end])
        del self._received[:end]
        return Request(tag, whole)


class Reader:
    """The values of one request's body, in their order. Every method raises Malformed."""

    __slots__ = ("_body", "_place", "number", "signature")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._place = 0
        self.number = self.u32()
        size = self.u32()
        if size > SIGNATURE_MAX:
            raise Malformed
        self.signature = self._take(size)

    def first_ulong(self) -> int:
        """Return the first value, which every call about a session names it by; whatever was read before."""
        place = 8 + len(self.signature)
        return int.from_bytes(self._body[place : place + 8], "big")

    def byte(self) -> int:
        """Return one byte (``y``)."""
        return self._take(1)[0]

    def u32(self) -> int:
        """Return a length or a type."""
        place = self._place
        self._place = place + 4
        try:
            value: int = _U32.unpack_from(self._body, place)[0]
        except struct.error:
            raise Malformed from None
        return value

    def ulong(self) -> int:
        """Return a CK_ULONG (``u``)."""
        place = self._place
        self._place = place + 8
        try:
            value: int = _U64.unpack_from(self._body, place)[0]
        except struct.error:
            raise Malformed from None
        return value

    def octets(self) -> bytes | None:
        """Return an array of bytes (``ay``); None for NULL, and where only its length came."""
        is_there, size = self.byte(), self.u32()
        if not is_there or size == NOTHING:
            return None
        return self._take(size)

    def room(self) -> int:
        """Return how many values the caller has room for (``fy``, ``fu``); 0 where it asks how many there are.

        A buffer that is there and has no room is one that is too small: the answer is the same.
        """
        room = self.u32()
        return 0 if room == NOTHING else min(room, ROOM_MAX)

    def wanted(self) -> list[tuple[int, int]]:
        """Return the attributes that are asked for (``fA``), each with the room for it."""
        return [self._wanted() for _ in range(self._count())]

    def template(self) -> list[tuple[int, AttributeValue | None]]:
        """Return attributes with their values (``aA``); None for one that is not valid."""
        return [self._attribute() for _ in range(self._count())]

    def mechanism(self) -> tuple[int | None, tuple[int, ...]]:
        """Return a mechanism's number, None for NULL, and the numbers among its parameters (``M``)."""
        kind = self.u32()
        if kind == NOTHING:
            return None, ()
        if kind == PSS or 0x43 <= kind <= 0x45 or kind == 0x47:
            return kind, (self.ulong(), self.ulong(), self.ulong())
        if kind == OAEP:
            numbers = (self.ulong(), self.ulong(), self.ulong())
            source = self._array()
            return kind, (*numbers, len(source or b""))
        self._array()
        return kind, ()

    def _array(self) -> bytes | None:
        size = self.u32()
        return None if size == NOTHING else self._take(size)

    def _count(self) -> int:
        count = self.u32()
        if count > COUNT_MAX:
            raise Malformed
        return count

    def _wanted(self) -> tuple[int, int]:
        kind, room = self.u32(), self.u32()
        # some releases write an empty nested list behind a template that is asked for; ours are never found, so that
        # whatever stands there is passed over
        if kind in TEMPLATES and room == 0 and self._peek() == 0:
            self.u32()
        return kind, room

    def _peek(self) -> int:
        four = self._body[self._place : self._place + 4]
        return int.from_bytes(four, "big") if len(four) == 4 else NOTHING

    def _attribute(self) -> tuple[int, AttributeValue | None]:
        kind = self.u32()
        if not self.byte():
            return kind, None
        self.u32()  # the length in the caller's memory
        if kind in TEMPLATES:
            raise Malformed  # no client searches by them, and whoever nests them does so to hurt
        if kind in BYTE_ATTRIBUTES:
            return kind, self.byte()
        if kind in ULONG_ATTRIBUTES:
            return kind, self.ulong()
        if kind in MECHANISM_ARRAYS:
            return kind, b"".join(_U64.pack(self.ulong()) for _ in range(self._count()))
        return kind, self._array() or b""

    def _take(self, size: int) -> bytes:
        place = self._place
        if size > len(self._body) - place:
            raise Malformed
        self._place = place + size
        return self._body[place : place + size]


# --- answers


def framed(tag: int, body: bytes) -> bytes:
    """Return a frame with this body."""
    return _HEADER.pack(tag, 0, len(body)) + body


def success(number: int, signature: bytes, values: bytes) -> bytes:
    """Return the body of an answer that gives what was asked for."""
    return b"".join((_U32.pack(number), _U32.pack(len(signature)), signature, values))


def failure(rv: int) -> bytes:
    """Return the body of an answer that gives an error."""
    return b"\0\0\0\0\0\0\0\x01u" + _U64.pack(rv)


def ulong(*values: int) -> bytes:
    """Return numbers, one after the other (``u``…)."""
    return b"".join(map(_U64.pack, values))


def version(major: int, minor: int) -> bytes:
    """Return a version (``v``)."""
    return bytes((major, minor))


def padded(text: str, size: int) -> bytes:
    """Return text of a fixed length (``s``), padded with blanks; what does not fit is cut off between characters."""
    fitting = text.encode()[:size].decode(errors="ignore").encode()
    return _U32.pack(size) + fitting.ljust(size)


def octets(value: bytes) -> bytes:
    """Return an array of bytes (``ay``)."""
    return b"\x01" + _U32.pack(len(value)) + value


def length(size: int) -> bytes:
    """Return the length of an array (``ay``, ``au``) that the caller asked for, or has no room for."""
    return b"\x00" + _U32.pack(size)


def ulongs(values: Sequence[int], room: int) -> bytes:
    """Return an array of numbers (``au``); its length only, where there is no room for it."""
    if room < len(values):
        return length(len(values))
    return b"\x01" + _U32.pack(len(values)) + ulong(*values)


def attributes(found: Iterable[tuple[int, AttributeValue | None]]) -> bytes:
    """Return attributes (``aA``); None stands for one that is not given."""
    written = [_attribute(kind, value) for kind, value in found]
    return _U32.pack(len(written)) + b"".join(written)


def size_of(kind: int, value: AttributeValue) -> int:
    """Return how many bytes a value takes in the caller's memory."""
    return len(value) if isinstance(value, bytes) else 1 if kind in BYTE_ATTRIBUTES else 8


def _attribute(kind: int, value: AttributeValue | None) -> bytes:
    if value is None:
        return _U32.pack(kind) + b"\x00"
    size = _U32.pack(size_of(kind, value))
    if isinstance(value, bytes):
        return b"".join((_U32.pack(kind), b"\x01", size, size, value))
    told = bytes((value,)) if kind in BYTE_ATTRIBUTES else _U64.pack(value)
    return b"".join((_U32.pack(kind), b"\x01", size, told))
