"""Cards that mean harm, or are broken as if they did: a simulated CPS3 whose answers are replaced."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cardd.apdu import Protocol
from cardd.tlv import encode
from cardd_drivers.simulator.card import SimulatedCard
from tests.rig.simulator import simulated_card

Answer = Callable[[bytes], bytes | None]  # None: as the honest card answers

SELECT, READ, VERIFY, ENVIRONMENT, SIGN, MORE = 0xA4, 0xB0, 0x20, 0x22, 0x2A, 0xC0
OK = b"\x90\x00"


class HostileCard:
    """A card in a reader (``PoweredCard``); ``commands`` counts what it was sent."""

    protocol = Protocol.T0
    title = "carte hostile"

    def __init__(self, answer: Answer, atr: bytes | None = None) -> None:
        self._honest: SimulatedCard = simulated_card()
        self._answer = answer
        self.atr = self._honest.atr if atr is None else atr
        self.commands = 0
        self.let_go = threading.Event()

    def power_on(self) -> bytes:
        """As the honest card."""
        self._honest.power_on()
        return self.atr

    def power_off(self) -> None:
        """As the honest card."""
        self._honest.power_off()

    def reset(self) -> bytes:
        """As the honest card."""
        self._honest.reset()
        return self.atr

    def process(self, apdu: bytes) -> bytes:
        """One command."""
        self.commands += 1
        answer = self._answer(apdu)
        return self._honest.process(apdu) if answer is None else answer


@dataclass(frozen=True)
class Malice:
    """One kind of harm. ``answer`` makes a fresh set of answers; ``commands`` is the most that opening it may cost."""

    name: str
    answer: Callable[[], Answer]
    commands: int = 600


def to(instruction: int, answer: Callable[[bytes], bytes]) -> Answer:
    """Replace the answers to one instruction."""
    return lambda apdu: answer(apdu) if len(apdu) > 1 and apdu[1] == instruction else None


def to_files(change: Callable[[bytes], bytes]) -> Callable[[], Answer]:
    """Replace what is read by something else of the same shape, while the honest card is still asked."""

    def make() -> Answer:
        honest = simulated_card()

        def answer(apdu: bytes) -> bytes | None:
            told = honest.process(apdu)
            if apdu[1] in (READ, MORE) and told[-2:] == OK and len(told) > 2:
                return change(told[:-2])[:256] + OK
            return told

        return answer

    return make


def _directory_of(count: int) -> bytes:
    return encode(0xA4, encode(0x30, encode(0x04, bytes.fromhex("3F0000015031")))) * count


def _deep(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        data = encode(0x30, data)
    return data


def _one_byte_at_a_time(apdu: bytes) -> bytes:
    return b"\x30" + OK


def _changing(_: bytes) -> bytes:
    return next(_CHANGES)


_CHANGES = itertools.cycle((bytes.fromhex("6A82"), OK, bytes.fromhex("6985"), bytes.fromhex("61FF")))

WHEN_OPENED = (
    Malice("61xx without end", lambda: lambda _: b"\x61\xff"),
    Malice("61xx with a byte each time", lambda: lambda _: b"\x30\x61\x01"),
    Malice("6Cxx again and again", lambda: lambda _: b"\x6c\x05"),
    Malice("more bytes than asked for", lambda: to(READ, lambda _: b"\x30" * 4000 + OK)),
    Malice("a file byte by byte", lambda: to(READ, _one_byte_at_a_time)),
    Malice("a file of 4 GiB", lambda: to(READ, lambda _: bytes.fromhex("3084FFFFFFFF") + b"\x30" * 250 + OK)),
    Malice("a file that never ends", lambda: to(READ, lambda _: bytes.fromhex("6120") + b"\x4f" * 0x20 + OK)),
    Malice("nothing but status words", lambda: lambda _: OK),
    Malice("status words of no standard", lambda: lambda _: b"\x00\x00"),
    Malice("answers of one byte", lambda: lambda _: b"\x90"),
    Malice("no answer at all", lambda: lambda _: b""),
    Malice("another answer each time", lambda: _changing),
    Malice("directories that name themselves", to_files(lambda _: _directory_of(40))),
    Malice("thousands of records", to_files(lambda _: b"\x61\x00" * 128)),
    Malice("records a thousand deep", to_files(lambda _: _deep(60))),
    Malice("everything is FF", to_files(lambda data: b"\xff" * len(data))),
    Malice("every other bit turned", to_files(lambda data: bytes(byte ^ 0x55 for byte in data))),
    Malice("all lengths one too long", to_files(lambda data: data[:1] + bytes((min(data[1] + 1, 0x7F),)) + data[2:])),
)
