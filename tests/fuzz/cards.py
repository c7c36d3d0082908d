"""Everything that reads bytes from a card, by name: each takes any bytes and gives a value or an error of cardd's."""

from __future__ import annotations

from collections.abc import Callable

from cardd.apdu import PARTS_MAX, SW, Command, Protocol, Response, historical_bytes, takes_extended_apdus
from cardd.core.masks import READ_BINARY, Masks
from cardd.formats.certificate import facts_of, serial_of
from cardd.identity.holders import identity_of, organisation_of
from cardd.model import Algorithm
from cardd.tlv import MAX_DEPTH, Tlv, announced_size, parse
from cardd_drivers.cps3.contents import serial_in
from cardd_drivers.cps3.driver import kind_of
from cardd_drivers.cps3.keys import Verifier
from cardd_drivers.pkcs15.files import FILE_MAX, READS_MAX, Files
from cardd_drivers.pkcs15.objects import (
    DirectoryType,
    applications,
    certificate_files,
    data_files,
    directory_paths,
    passwords,
    private_keys,
)
from tests.drivers.channel import CountingChannel
from tests.fuzz.parser import Parser

ANSWER_MAX = 600  # bytes: shorter and longer than a short command can ask for
HISTORICAL_MAX = 15  # bytes (ISO/IEC 7816-3, section 8.2.4)
OBJECTS_MAX = 10_000


def _tree(data: bytes) -> int:
    """Every data object, as deep as anything of cardd's follows them."""
    level, count = list(parse(data, padded=True)), 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        if not level or count > OBJECTS_MAX:
            break
        level = [child for one in level if _is_constructed(one) for child in one.children]
    return count


def _is_constructed(one: Tlv) -> bool:
    """Whether its value is a sequence of data objects (bit 6 of the first tag byte)."""
    first = one.tag.to_bytes(4, "big").lstrip(b"\0")
    return bool(first and first[0] & 0x20)


def _descent(data: bytes) -> Tlv | None:
    """The way down that a path may take, and no further."""
    return next(parse(data)).find(*[0x30] * (MAX_DEPTH + 1)) if data else None


def _certificate(data: bytes) -> None:
    for read in (serial_of, facts_of, identity_of, organisation_of):
        read(data)


def _key(data: bytes) -> None:
    verifier = Verifier(data)
    for algorithm in Algorithm:
        if algorithm in (Algorithm.RS256, Algorithm.PS256):
            assert not verifier.accepts(bytes(256), bytes(32), algorithm)


def _atr(data: bytes) -> None:
    kind_of(data)
    assert len(historical_bytes(data)) <= HISTORICAL_MAX
    takes_extended_apdus(data)


def answering(data: bytes, most: int) -> Callable[[bytes], bytes]:
    """A card that answers by these bytes, whatever it is asked: each behind two bytes with its length; then 9000."""
    rest = data

    def answer(_: bytes) -> bytes:
        nonlocal rest
        if len(rest) < 2:
            return SW.OK.to_bytes(2)
        size = int.from_bytes(rest[:2]) % (most + 1)
        told, rest = rest[2 : 2 + size], rest[2 + size :]
        return told

    return answer


def _conversation(protocol: Protocol) -> Callable[[bytes], Response]:
    def talk(data: bytes) -> Response:
        channel = CountingChannel(answering(data, ANSWER_MAX), protocol=protocol)
        try:
            return channel.transmit(Command(0x00, 0xB0, 0x00, 0x00, le=256))
        finally:
            assert channel.count() <= PARTS_MAX + 2

    return talk


def _masked(data: bytes) -> None:
    """The bytes as a card's answers to one command each, all read from one file, which somebody records."""
    masks, place, rest = Masks(), 0, data
    for _ in range(PARTS_MAX):
        if len(rest) < 3:
            return
        ins, size = rest[0], int.from_bytes(rest[1:3])
        answer, rest = rest[3 : 3 + size], rest[3 + size :]
        command = Command(0x00, ins, place >> 8 & 0x7F, place & 0xFF, le=256)
        assert len(masks.answer(command, answer)) == len(answer)
        place = place + len(answer) if ins == READ_BINARY else 0


def _file(read: Callable[[Files], bytes]) -> Callable[[bytes], bytes]:
    """The bytes as a file; the first of them says how many a READ BINARY gives."""

    def from_card(data: bytes) -> bytes:
        largest, content = (data[0] or 256, data[1:]) if data else (256, b"")

        def answer(apdu: bytes) -> bytes:
            offset = int.from_bytes(apdu[2:4]) & 0x7FFF
            part = content[offset : offset + min(largest, apdu[4] or 256)]
            return part + (SW.OK if part else SW.WRONG_OFFSET).to_bytes(2)

        channel = CountingChannel(answer)
        try:
            found = read(Files(channel))
        finally:
            assert channel.count() <= READS_MAX
        assert len(found) <= FILE_MAX
        return found

    return from_card


_APDU = ("cardd.apdu",)
_FILES = ("cardd_drivers.pkcs15.files",)
_OBJECTS = ("cardd_drivers.pkcs15.objects", "cardd_drivers.pkcs15.asn1")
_CERTIFICATE = ("cardd.formats.certificate", "cardd.identity.holders")

PARSERS: dict[str, Parser] = {
    "tlv": Parser(_tree, ("cardd.tlv",)),
    "descent": Parser(_descent, ("cardd.tlv",)),
    "announced_size": Parser(announced_size, ("cardd.tlv",)),
    "atr": Parser(_atr, _APDU),
    "answers": Parser(_conversation(Protocol.T0), _APDU),
    "answers_t1": Parser(_conversation(Protocol.T1), _APDU),
    "directory_file": Parser(_file(lambda files: files.read_directory()), _FILES),
    "object_file": Parser(_file(lambda files: files.read_object()), _FILES),
    "serial": Parser(serial_in, ("cardd_drivers.cps3.contents",)),
    "ef_dir": Parser(applications, _OBJECTS),
    "odf": Parser(lambda data: [directory_paths(data, wanted) for wanted in DirectoryType], _OBJECTS),
    "aodf": Parser(passwords, _OBJECTS),
    "prkdf": Parser(private_keys, _OBJECTS),
    "cdf": Parser(certificate_files, _OBJECTS),
    "dodf": Parser(data_files, _OBJECTS),
    "certificate": Parser(_certificate, _CERTIFICATE),
    "key": Parser(_key, ("cardd_drivers.cps3.keys",)),
    "masks": Parser(_masked, ("cardd.core.masks",), longest=16_384),
}
