"""What the hostile cards of the tests do while they are opened, and what each may cost and must end in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardd.apdu import PARTS_MAX
from cardd.tlv import encode, parse_one
from cardd_drivers.pkcs15.files import FILE_MAX, READS_MAX
from tests.hostile.cards import (
    AODF,
    CDF,
    EF_DIR,
    GENERATIONS,
    MORE,
    ODF,
    OK,
    PRKDF,
    READ,
    SELECT,
    SIGNATURE,
    Answer,
    Exchange,
    Malice,
    answering,
    files_of,
    reading,
)

HONEST = 40  # commands that open an honest card and read its certificates, with some to spare
READ_SIZE = 256
DIRECTORY_TAGS = (0xA8, 0xA0, 0xA4)  # AODF, PrKDF, CDF


@dataclass(frozen=True)
class Case:
    """One harm. ``error`` is what it must end in; ``commands`` the most it may cost.

    ``late``: only who reads the certificates meets it, which happens while the PIN is asked for.
    """

    name: str
    malice: Malice
    error: str
    commands: int = HONEST
    late: bool = False


def garbled(what: str) -> str:
    return f"card.garbled (what={what})"


def nested(levels: int) -> bytes:
    """Data objects within each other."""
    data = b""
    for _ in range(levels):
        data = encode(0x30, data)
    return data


def directories(*paths: str) -> bytes:
    """An ODF that names each path as a directory of every type."""
    entries = [encode(tag, encode(0x30, encode(0x04, bytes.fromhex(path)))) for tag in DIRECTORY_TAGS for path in paths]
    return b"".join(entries)


def as_often(count: int) -> bytes:
    """The CDF's first record again and again."""
    return parse_one(files_of(GENERATIONS["cps3"]())[CDF]).encode() * count


def byte_by_byte() -> Answer:
    """What is read is told in single bytes, each with the promise of another: under T=0 and T=1."""
    waiting = b""

    def answer(exchange: Exchange) -> bytes | None:
        nonlocal waiting
        if exchange.instruction == READ and exchange.told[-2:] == OK:
            waiting = exchange.told[:-2]
        elif exchange.instruction != MORE or not waiting:
            return None
        byte, waiting = waiting[:1], waiting[1:]
        return byte + (b"\x61\x01" if waiting else OK)

    return answer


def _without_end(instruction: int) -> Malice:
    """This instruction, and each GET RESPONSE, is answered with a byte and the promise of more."""
    return Malice(answer=lambda: lambda told: b"\x30\x61\x01" if told.instruction in (instruction, MORE) else None)


def _endless(_: Exchange) -> bytes:
    """Always 256 more bytes of objects, whatever the offset."""
    return b"\x31\x7e" + bytes(126) + b"\x31\x7e" + bytes(126) + OK


def _promising(size: str) -> Callable[[Exchange], bytes]:
    head = bytes.fromhex(size)
    return lambda _: head + b"\x04" * (READ_SIZE - len(head)) + OK


def _status(sw: str) -> Callable[[Exchange], bytes]:
    return lambda _: bytes.fromhex(sw)


WITHOUT_END = garbled("an answer without an end")
NO_RECORD = garbled("a directory record without its attributes")
TOO_LONG = garbled("a file longer than any card's")
BAD_LENGTH = garbled("a length that no card file can have")
TOO_MUCH = garbled("more bytes than were asked for")

ANSWERS = (
    Case("61FF without end", reading(ODF, _status("61FF")), WITHOUT_END),
    Case("61xx, a byte each time", reading(ODF, _status("306101")), WITHOUT_END, HONEST + PARTS_MAX),
    Case(
        "61xx, 256 bytes each time", reading(ODF, lambda _: bytes(256) + b"\x61\x00"), WITHOUT_END, HONEST + PARTS_MAX
    ),
    Case("6Cxx and again 6Cxx", reading(ODF, _status("6C05")), "card.refused (command=READ BINARY, sw=6C05)"),
    Case("61xx to a SELECT and all that follows", _without_end(SELECT), WITHOUT_END, HONEST + PARTS_MAX),
    Case("61FF to a SELECT", answering(SELECT, _status("61FF")), "card.refused (command=SELECT, sw=6985)"),
    Case("SW 0000", reading(ODF, _status("0000")), "card.refused (command=READ BINARY, sw=0000)"),
    Case("SW FFFF", reading(ODF, _status("FFFF")), "card.refused (command=READ BINARY, sw=FFFF)"),
    Case("SW 9001", reading(ODF, _status("9001")), "card.refused (command=READ BINARY, sw=9001)"),
    Case("one byte, no status word", reading(ODF, _status("90")), garbled("a response without a status word")),
    Case("no answer", reading(ODF, _status("")), garbled("a response without a status word")),
    Case("one byte more than asked for", reading(ODF, lambda _: bytes(257) + OK), TOO_MUCH),
    Case("60000 bytes more than asked for", reading(ODF, lambda _: b"\x30" * 60000 + OK), TOO_MUCH),
    Case("a directory of FFFF bytes", reading(PRKDF, _promising("3082FFFF")), TOO_LONG),
    Case("a directory of 16 MiB", reading(PRKDF, _promising("3083FFFFFF")), TOO_LONG),
    Case("a directory of 4 GiB", reading(PRKDF, _promising("3084FFFFFFFF")), BAD_LENGTH),
    Case("a directory of no definite length", reading(PRKDF, _promising("3080")), BAD_LENGTH),
    Case("a directory that never ends", reading(PRKDF, _endless), TOO_LONG, HONEST + FILE_MAX // READ_SIZE + 1),
    Case(
        "9000 and nothing, for ever",
        reading(SIGNATURE, lambda _: OK),
        garbled("a data object without a tag"),
        late=True,
    ),
    Case(
        "a certificate that stops growing",
        reading(SIGNATURE, lambda exchange: exchange.told if exchange.apdu[2:4] == b"\0\0" else OK),
        garbled("a file cut short"),
        late=True,
    ),
    Case("a certificate of FFFF bytes", reading(SIGNATURE, _promising("3082FFFF")), TOO_LONG, late=True),
    Case(
        "a certificate byte by byte",
        reading(SIGNATURE, lambda exchange: exchange.told[:1] + OK if exchange.apdu[2:4] != b"\0\0" else exchange.told),
        garbled("files without an end"),
        HONEST + READS_MAX,
        late=True,
    ),
    Case("each answer byte by byte", Malice(answer=byte_by_byte), WITHOUT_END, HONEST + 3 * PARTS_MAX),
)

FILES = (
    Case("an ODF that names itself", Malice({ODF: directories("3F0000015031")}), "card.incomplete (what=pin)"),
    Case(
        "an ODF that names folders",
        Malice({ODF: directories("3F000001")}),
        "card.refused (command=READ BINARY, sw=6986)",
    ),
    Case("an ODF that names nothing", Malice({ODF: directories("3F00FFFF")}), "card.refused (command=SELECT, sw=6A82)"),
    Case("an ODF with half a path", Malice({ODF: directories("3F0001")}), garbled("a path that no card has")),
    Case("an ODF with an endless path", Malice({ODF: directories("3F00" * 60)}), garbled("a path that no card has")),
    Case(
        "an ODF with 21 directories of a type",
        Malice({ODF: directories(*["3F0000017001"] * 21)}),
        garbled("more directories than any card has"),
    ),
    *(
        Case(f"a thousand levels in {file:04X}", Malice({file: nested(1000)}), error, HONEST + 16)
        for file, error in (
            (EF_DIR, "card.incomplete (what=application)"),
            (ODF, "card.incomplete (what=authentication)"),
            (AODF, NO_RECORD),
            (PRKDF, NO_RECORD),
            (CDF, NO_RECORD),
        )
    ),
    Case(
        "thousands of records, in as many directories as may be",
        Malice({ODF: directories(*["3F0000017002"] * 4), PRKDF: b"\x31\x00" * 8000, AODF: b""}),
        garbled("files without an end"),
        HONEST + READS_MAX,
    ),
    Case(
        "one certificate 64 times, as long as may be",
        Malice({CDF: as_often(64), SIGNATURE: encode(0x30, bytes(FILE_MAX - 8))}),
        garbled("files without an end"),
        HONEST + READS_MAX + 64,
        late=True,
    ),
    Case(
        "the same byte by byte",
        Malice({CDF: as_often(64), SIGNATURE: encode(0x30, bytes(FILE_MAX - 8))}, byte_by_byte),
        WITHOUT_END,
        HONEST + 3 * PARTS_MAX,
    ),
    *(
        Case(f"nothing but FF in {file:04X}", Malice({file: b"\xff" * 300}), error)
        for file, error in (
            (EF_DIR, "card.incomplete (what=application)"),
            (ODF, "card.incomplete (what=authentication)"),
        )
    ),
)

CASES = ANSWERS + FILES
