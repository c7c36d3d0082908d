"""The core on a simulated CPS3 in process, with a person who answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.core.consent import ConsentDesk
from cardd.core.events import EventBus
from cardd.core.pin import PinDesk, PinGuard
from cardd.core.readers import Readers
from cardd.core.registry import DriverRegistry
from cardd.core.sessions import Limits, Sessions
from cardd.core.signing import Signing
from cardd.errors import AuditUnavailable, PinCancelled
from cardd.identity.cpx_login import CpxLogin
from cardd.model import AuditEntry, AuditRow, Caller, CallerKind, Choice, Peer, PinQuestion, Question
from cardd.secret import Secret
from cardd.simulator import SimulatorOptions
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.simulator.card import SimulatedCard
from cardd_drivers.simulator.cps3 import Cps3Simulator
from cardd_drivers.simulator.inprocess import InProcessReader, InProcessReaders
from cardd_drivers.vitale import VitaleDriver

PIN = "7319"
CALLER = Caller(CallerKind.PROGRAM, "lps-1", "LPS de test", "urn:cardd:client:lps-1", Peer(1000))
OTHER = Caller(CallerKind.PROGRAM, "lps-2", "Autre LPS", "urn:cardd:client:lps-2", Peer(1000))


class ManualClock:
    """Time that moves only when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Person:
    """Answers dialogs: PINs from a list (none left means cancel), and one choice for every question."""

    def __init__(self) -> None:
        self.pins: list[str] = []
        self.choice = Choice.YES
        self.asked: list[PinQuestion] = []
        self.questions: list[Question] = []
        self.before_pin = asyncio.Event()
        self.before_pin.set()

    async def ask_pin(self, question: PinQuestion, into: Secret) -> None:
        self.asked.append(question)
        await self.before_pin.wait()
        if not self.pins:
            raise PinCancelled
        into.fill(memoryview(self.pins.pop(0).encode()))

    async def confirm(self, question: Question) -> Choice:
        self.questions.append(question)
        return self.choice

    async def notify(self, question: Question) -> None:
        self.questions.append(question)


class MemoryAudit:
    """Keeps the entries; refuses them when the test says that the disk is full."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.full = False

    async def append(self, entry: AuditEntry) -> AuditRow:
        if self.full:
            raise AuditUnavailable(why="full")
        self.entries.append(entry)
        return AuditRow(len(self.entries), datetime.now(UTC), entry, "")


@dataclass
class Core:
    """Everything of the core, wired as the daemon does, around one reader."""

    reader: InProcessReader
    card: SimulatedCard
    person: Person = field(default_factory=Person)
    clock: ManualClock = field(default_factory=ManualClock)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    hold: float = 0.5
    hold_pin: bool = True

    def __post_init__(self) -> None:
        self.events = EventBus()
        registry = DriverRegistry([Cps3Driver(), VitaleDriver()])
        self.readers = Readers(registry, self.events, hold=self.hold, timeout=10)
        self.sessions = Sessions(self.clock, self.events, Limits())
        self.consents = ConsentDesk(self.person, self.clock, batch_max=50, batch_lifetime=600)
        self.pins = PinDesk(self.person, PinGuard(self.clock))
        self.signing = Signing(self.sessions, self.consents, self.pins, self.audit, hold_pin=self.hold_pin)
        self.login = CpxLogin(self.readers, self.sessions, self.pins, self.consents, self.audit, hold_pin=self.hold_pin)
        self.readers.on_card_removed.append(
            lambda card: self.sessions.close_where(lambda session: session.card is card, "card_removed")
        )
        self.sessions.on_closed.append(self.consents.session_closed)
        self.source = InProcessReaders([self.reader])

    async def start(self) -> None:
        await self.source.start(self.readers)

    async def stop(self) -> None:
        self.sessions.close_where(lambda _: True, "test")
        await self.sessions.settle()
        await self.readers.close()
        await self.source.stop()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulator keeps its keys: between runs too, because making RSA keys takes seconds."""
    return Path(__file__).parents[2] / "build" / "simulation"


@pytest.fixture
def simulated_card(keys: Path) -> SimulatedCard:
    return Cps3Simulator().card(SimulatorOptions(profile="medecin", pin=PIN, state=keys))


@pytest_asyncio.fixture
async def core(simulated_card: SimulatedCard) -> AsyncIterator[Core]:
    reader = InProcessReader("Lecteur de test", simulated_card)
    core = Core(reader, simulated_card)
    await core.start()
    yield core
    await core.stop()
