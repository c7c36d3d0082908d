"""ISO 7816-4 command and response APDUs, and the layers between a command and the bytes of a reader.

``Command`` says what is meant; ``Transport`` sends it the way the card's protocol wants: case-4 commands without Le
and GET RESPONSE under T=0, command chaining for bodies longer than one short APDU, ``6Cxx`` repeated with the right
length. No I/O happens here: ``Transport`` is given the function that exchanges bytes.

Source: ISO/IEC 7816-3 section 12 (T=0), ISO/IEC 7816-4 section 5; for what the ATR says, ISO/IEC 7816-3 section 8.2
(structure) and ISO/IEC 7816-4 section 12.1.1 (historical bytes, card capabilities).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from cardd.errors import CardGarbled
from cardd.values import Value, replace

SHORT_MAX = 255
LE_MAX = 256
EXTENDED_MAX = 65535
CHAINING = 0x10
# no object of a CPx is near these; a card that sends more, or in more parts, is broken or hostile
RESPONSE_MAX = 64 * 1024
PARTS_MAX = 64  # of which each real one holds some 200 bytes

_CAPABILITIES = 7  # the data object in the historical bytes
_EXTENDED = 0x40  # in its third byte

Exchange = Callable[[bytes], bytes]


class Protocol(Enum):
    """The transmission protocol that the reader and the card agreed on."""

    T0 = 0
    T1 = 1


class Command(Value):
    """One command APDU. ``le`` is the number of bytes expected: None for none, 256 for a short APDU's maximum."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    @property
    def header(self) -> bytes:
        """CLA INS P1 P2."""
        return bytes((self.cla, self.ins, self.p1, self.p2))

    @property
    def is_extended(self) -> bool:
        """Whether the command fits only the extended form."""
        return len(self.data) > SHORT_MAX or (self.le or 0) > LE_MAX

    def encode(self) -> bytes:
        """The command in its short form where it fits, else in the extended form (ISO 7816-4, 5.1)."""
        if len(self.data) > EXTENDED_MAX or (self.le or 0) > EXTENDED_MAX + 1:
            raise ValueError("longer than an extended APDU")
        return self._extended() if self.is_extended else self._short()

    def _short(self) -> bytes:
        body = bytes((len(self.data),)) + self.data if self.data else b""
        le = b"" if self.le is None else bytes((self.le % LE_MAX,))
        return self.header + body + le

    def _extended(self) -> bytes:
        body = b"\x00" + len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        le = b"" if self.le is None else (self.le % (EXTENDED_MAX + 1)).to_bytes(2, "big")
        return self.header + body + (le if self.data or not le else b"\x00" + le)

    @classmethod
    def decode(cls, raw: bytes) -> Command:
        """Read a command APDU, short or extended. Raises ValueError when its lengths do not agree."""
        if len(raw) < 4:
            raise ValueError("shorter than a header")
        command, body = cls(*raw[:4]), raw[4:]
        if not body:
            return command
        if body[0] == 0 and len(body) > 1:
            return command._decode_extended(body[1:])
        return command._decode_body(body, 1, LE_MAX)

    def _decode_extended(self, body: bytes) -> Command:
        if len(body) < 2:
            raise ValueError("extended length cut short")
        return self._decode_body(body, 2, EXTENDED_MAX + 1)

    def _decode_body(self, body: bytes, width: int, le_max: int) -> Command:
        first = int.from_bytes(body[:width], "big")
        if len(body) == width:
            return replace(self, le=first or le_max)
        data, le = body[width : width + first], body[width + first :]
        if len(data) != first or len(le) not in (0, width):
            raise ValueError("Lc does not match the body")
        return replace(self, data=data, le=(int.from_bytes(le, "big") or le_max) if le else None)


class Response(Value):
    """One response: data without its status word, and the status word as a 16-bit number."""

    data: bytes
    sw: int

    @classmethod
    def decode(cls, raw: bytes) -> Response:
        """Split the last two bytes off. Raises CardGarbled when there are not even two."""
        if len(raw) < 2:
            raise CardGarbled(what="a response without a status word")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    @property
    def ok(self) -> bool:
        """Whether the status word is 9000."""
        return self.sw == SW.OK

    def encode(self) -> bytes:
        """Data and status word, as they travel."""
        return self.data + self.sw.to_bytes(2, "big")


class SW:
    """Status words that CPx cards are known to give (ISO 7816-4, 5.6, and the card facts)."""

    OK = 0x9000
    END_OF_FILE = 0x6282
    TRIES_LEFT = 0x63C0  # the low nibble counts
    WRONG_LENGTH = 0x6700
    SECURITY_STATUS = 0x6982
    BLOCKED = 0x6983
    CONDITIONS = 0x6985
    BAD_DATA = 0x6A80
    NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    BAD_P1P2 = 0x6A86
    REFERENCE_NOT_FOUND = 0x6A88
    WRONG_OFFSET = 0x6B00
    INS_UNKNOWN = 0x6D00
    CLA_UNKNOWN = 0x6E00


def tries_left(sw: int) -> int | None:
    """The tries that a VERIFY status word tells: 63Cx gives x, 6983 gives 0, anything else gives None."""
    if sw & 0xFFF0 == SW.TRIES_LEFT:
        return sw & 0x0F
    return 0 if sw == SW.BLOCKED else None


class Transport:
    """Sends commands through one exchange function, by the rules of the card's protocol."""

    def __init__(self, exchange: Exchange, protocol: Protocol, *, extended: bool = False) -> None:
        self._exchange = exchange
        self._protocol = protocol
        self._extended = extended and protocol is Protocol.T1

    def send(self, command: Command) -> Response:
        """Send one command and gather its whole answer.

        Raises CardGarbled when the answer is not an APDU, is longer than what was asked for or never ends; whatever
        ``exchange`` raises passes through.
        """
        while len(command.data) > SHORT_MAX and not self._extended:
            part = replace(command, cla=command.cla | CHAINING, data=command.data[:SHORT_MAX], le=None)
            response = self._exchange_one(part)
            if not response.ok:
                return response
            command = replace(command, data=command.data[SHORT_MAX:])
        if (command.le or 0) > LE_MAX and not self._extended:
            command = replace(command, le=LE_MAX)
        return self._gather(command, self._exchange_one(command))

    def _exchange_one(self, command: Command) -> Response:
        if self._protocol is Protocol.T0 and command.data and command.le is not None:
            command = replace(command, le=None)
        raw = command.encode()
        if self._protocol is Protocol.T0 and len(raw) == 4:
            raw += b"\x00"  # T=0 has no case 1: P3 is always sent
        response = Response.decode(self._exchange(raw))
        if len(response.data) > (command.le or LE_MAX):
            raise CardGarbled(what="more bytes than were asked for")
        return response

    def _gather(self, command: Command, first: Response) -> Response:
        response, data = first, first.data
        if response.sw >> 8 == 0x6C and command.le is not None:
            response = self._exchange_one(replace(command, le=(response.sw & 0xFF) or LE_MAX))
            data = response.data
        parts = 0
        while response.sw >> 8 == 0x61:
            parts += 1
            more = Command(command.cla & ~CHAINING, 0xC0, 0, 0, le=(response.sw & 0xFF) or LE_MAX)
            response = self._exchange_one(more)
            data += response.data
            if len(data) > RESPONSE_MAX or parts > PARTS_MAX or (response.sw >> 8 == 0x61 and not response.data):
                raise CardGarbled(what="an answer without an end")
        return Response(data, response.sw)


def takes_extended_apdus(atr: bytes) -> bool:
    """Return whether the card says that it takes extended Lc and Le; False for an unreadable ATR."""
    capabilities = _compact(_objects(historical_bytes(atr))).get(_CAPABILITIES, b"")
    return len(capabilities) >= 3 and bool(capabilities[2] & _EXTENDED)


def historical_bytes(atr: bytes) -> bytes:
    """Return the historical bytes of the ATR, empty when it is cut short."""
    if len(atr) < 2:
        return b""
    count, announced, offset = atr[1] & 0x0F, atr[1] >> 4, 2
    while announced:
        offset += announced.bit_count()
        follows = announced & 0x8  # TDi is there and announces the next group
        if follows and offset > len(atr):
            return b""
        announced = atr[offset - 1] >> 4 if follows else 0
    found = atr[offset : offset + count]
    return found if len(found) == count else b""


def _objects(historical: bytes) -> bytes:
    """Return the COMPACT-TLV data objects. In category 00 a status indicator follows them, in category 80 nothing."""
    match historical[:1]:
        case b"\x00":
            return historical[1:-3]
        case b"\x80":
            return historical[1:]
        case _:
            return b""


def _compact(data: bytes) -> dict[int, bytes]:
    objects: dict[int, bytes] = {}
    while data:
        length = data[0] & 0x0F
        objects.setdefault(data[0] >> 4, data[1 : 1 + length])
        data = data[1 + length :]
    return objects
