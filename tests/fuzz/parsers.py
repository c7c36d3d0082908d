"""Everything that reads bytes from a card, by name: each takes any bytes and gives a value or an error of cardd's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from cardd.apdu import Command, Protocol, Response, Transport
from cardd.identity.cpx import facts_of, identity_of, serial_of
from cardd.identity.organisation import organisation_of
from cardd.pcsc.atr import historical_bytes, takes_extended_apdus
from cardd.tlv import Tlv, announced_size, parse
from cardd_drivers.cps3.atr import kind_of
from cardd_drivers.cps3.contents import serial_in
from cardd_drivers.pkcs15.directory import DirectoryType, applications, directory_paths
from cardd_drivers.pkcs15.objects import certificate_files, passwords, private_keys

CHUNK = 64


def _tree(data: bytes) -> int:
    """Every data object, as deep as they go."""

    def walk(found: Iterator[Tlv]) -> Iterator[Tlv]:
        for one in found:
            yield one
            if one.is_constructed:
                yield from walk(iter(one.children))

    return sum(1 for _ in islice(walk(parse(data, padded=True)), 10_000))


def _certificate(data: bytes) -> None:
    for read in (serial_of, facts_of, identity_of, organisation_of):
        read(data)


def _atr(data: bytes) -> None:
    kind_of(data)
    historical_bytes(data)
    takes_extended_apdus(data)


def _conversation(data: bytes) -> Response:
    """The bytes as a card's successive answers, 61xx and 6Cxx among them."""
    parts = [data[place : place + CHUNK] for place in range(0, len(data), CHUNK)]
    answers = iter(parts)
    transport = Transport(lambda _: next(answers, b"\x90\x00"), Protocol.T0)
    return transport.send(Command(0x00, 0xB0, 0x00, 0x00, le=256))


PARSERS: dict[str, Callable[[bytes], object]] = {
    "tlv": _tree,
    "announced_size": announced_size,
    "atr": _atr,
    "answers": _conversation,
    "serial": serial_in,
    "ef_dir": applications,
    "odf": lambda data: [directory_paths(data, wanted) for wanted in DirectoryType],
    "aodf": passwords,
    "prkdf": private_keys,
    "cdf": certificate_files,
    "certificate": _certificate,
}
