"""The core on a simulated CPS3 in process, with a person who answers as the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from cardd.config import SessionRules
from cardd.core.consent import Consents
from cardd.core.events import EventBus
from cardd.core.lifecycle import Lifecycle
from cardd.core.pin import PinEntry, PinGuard
from cardd.core.pin_life import PinLife
from cardd.core.readers import InsertedCard, Readers
from cardd.core.registry import DriverRegistry
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.core.trace import Trace
from cardd.identity.authorities import KnownAuthorities
from cardd.identity.card_login import CardChoice, CardLogin, CpxLogin
from cardd.model import Caller, CallerKind, Peer
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.vitale import VitaleDriver
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from cardd_simulators.cards.store import Issued
from tests.rig.memory import ManualClock, MemoryAudit
from tests.rig.prompter import ScriptedPrompter
from tests.rig.simulator import issue

PIN = "7319"
CALLER = Caller(CallerKind.PROGRAM, "lps-1", "LPS de test", "urn:cardd:client:lps-1", Peer(1000))
OTHER = Caller(CallerKind.PROGRAM, "lps-2", "Autre LPS", "urn:cardd:client:lps-2", Peer(1000))


@dataclass
class Core:
    """Everything of the core, wired as the daemon does, around one reader."""

    reader: InProcessReader
    card: SimulatedCard
    person: ScriptedPrompter = field(default_factory=ScriptedPrompter)
    clock: ManualClock = field(default_factory=ManualClock)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    hold: float = 0.5
    hold_pin: bool = True

    def __post_init__(self) -> None:
        self.events = EventBus()
        registry = DriverRegistry([Cps3Driver(), Cps4Driver(), VitaleDriver()])
        lifecycle = Lifecycle()
        self.readers = Readers(registry, self.events, Trace(self.clock), lifecycle, hold=self.hold, timeout=10)
        self.sessions = Sessions(self.clock, self.events, SessionRules(), lifecycle)
        self.consents = Consents(self.person, self.clock, batch_max=50, batch_lifetime=600)
        guard = PinGuard(self.clock)
        self.pins = PinEntry(self.person, guard)
        self.pin_life = PinLife(self.person, self.pins, guard, self.audit, lifecycle)
        self.signing = Signing(self.sessions, self.consents, self.pins, self.audit, hold_pin=self.hold_pin)
        login = CardLogin(
            self.readers,
            self.sessions,
            self.pins,
            self.consents,
            self.audit,
            hold_pin=self.hold_pin,
            authorities=KnownAuthorities(),
        )
        self.login = CpxLogin(login, CardChoice(self.readers, self.person), _nobodys)
        lifecycle.join(self.consents, self.sessions)
        self.source = InProcessReaders([self.reader])

    async def start(self) -> None:
        await self.source.start(self.readers)

    async def stop(self) -> None:
        self.sessions.close_where(lambda _: True, "test")
        await self.sessions.settle()
        await self.readers.close()
        await self.source.stop()


async def _nobodys(_: InsertedCard) -> bool:
    return False


@pytest.fixture(scope="session")
def issued() -> Issued:
    """The keys and certificates, read once."""
    return issue("medecin", len(PIN))


@pytest.fixture
def simulated_card(issued: Issued) -> SimulatedCard:
    """A fresh card: all tries left."""
    return SimulatedCard(issued, pin=PIN.encode())


@pytest_asyncio.fixture
async def core(simulated_card: SimulatedCard) -> AsyncIterator[Core]:
    reader = InProcessReader("Lecteur de test", simulated_card)
    core = Core(reader, simulated_card)
    await core.start()
    yield core
    await core.stop()
