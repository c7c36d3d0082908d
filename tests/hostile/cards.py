"""Cards that mean harm, or are broken as if they did: a simulated CPS3 or CPS4 with other files or other answers.

All else stays honest, so that the harm arrives where it is meant to: ``harms`` counts it, and a test that sees none has
shown nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cardd.apdu import Protocol
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.files import File, Folder
from tests.rig.simulator import simulated_card, simulated_cps4

SELECT, READ, VERIFY, ENVIRONMENT, SIGN, AUTHENTICATE, MORE = 0xA4, 0xB0, 0x20, 0x22, 0x2A, 0x88, 0xC0
SERIAL, EF_DIR, ODF, AODF, PRKDF, CDF = 0xD003, 0x2F00, 0x5031, 0x7001, 0x7002, 0x7005
SIGNATURE, AUTHENTICATION = 0xB001, 0xB002  # the certificates
OK = b"\x90\x00"

GENERATIONS: dict[str, Callable[[], SimulatedCard]] = {"cps3": simulated_card, "cps4": simulated_cps4}


@dataclass(frozen=True)
class Exchange:
    """One command, what the honest card answered, and the file that it stands in; None for a folder."""

    apdu: bytes
    told: bytes
    file: int | None

    @property
    def instruction(self) -> int:
        return self.apdu[1]


Answer = Callable[[Exchange], bytes | None]  # None: as the honest card


def honest(_: Exchange) -> bytes | None:
    """Nothing is changed."""
    return None


@dataclass(frozen=True)
class Malice:
    """One kind of harm: files in place of the card's, by identifier, or a fresh set of answers for each card."""

    files: Mapping[int, bytes] = field(default_factory=dict)
    answer: Callable[[], Answer] = lambda: honest
    atr: bytes | None = None


class HostileCard:
    """A card in a reader (``PoweredCard``). ``commands`` counts what it was sent, ``harms`` the answers that hurt."""

    title = "carte hostile"

    def __init__(self, malice: Malice, card: SimulatedCard | None = None) -> None:
        self.honest = card or simulated_card()
        self.commands = 0
        self.harms = 0
        self.let_go = threading.Event()
        self._malice = malice
        self._answer = malice.answer()
        for file in every_file(self.honest.selection.folder):
            if file.identifier in malice.files:
                file.data = bytearray(malice.files[file.identifier])

    @property
    def atr(self) -> bytes:
        return self.honest.atr if self._malice.atr is None else self._malice.atr

    @property
    def protocol(self) -> Protocol:
        return self.honest.protocol

    def power_on(self) -> bytes:
        self.honest.power_on()
        return self.atr

    def power_off(self) -> None:
        self.honest.power_off()

    def reset(self) -> bytes:
        return self.power_on()

    def process(self, apdu: bytes) -> bytes:
        self.commands += 1
        told = self.honest.process(apdu)
        file = self.honest.selection.file
        exchange = Exchange(apdu, told, file.identifier if file else None)
        answer = self._answer(exchange)
        self.harms += answer is not None or (exchange.instruction == READ and exchange.file in self._malice.files)
        return told if answer is None else answer


def every_file(folder: Folder) -> Iterator[File]:
    """All files below."""
    for child in folder.children:
        if isinstance(child, File):
            yield child
        else:
            yield from every_file(child)


def files_of(card: SimulatedCard) -> dict[int, bytes]:
    """What an honest card holds."""
    return {file.identifier: bytes(file.data) for file in every_file(card.selection.folder)}


def answering(instruction: int, answer: Callable[[Exchange], bytes]) -> Malice:
    """Other answers to one instruction."""
    return Malice(answer=lambda: lambda exchange: answer(exchange) if exchange.instruction == instruction else None)


def reading(file: int, answer: Callable[[Exchange], bytes]) -> Malice:
    """Other answers to whoever reads this file, GET RESPONSE included."""

    def answered(exchange: Exchange) -> bytes | None:
        return answer(exchange) if exchange.file == file and exchange.instruction in (READ, MORE) else None

    return Malice(answer=lambda: answered)
