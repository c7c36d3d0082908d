"""The core on a simulated CPS3 in process, with a person who answers as the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
import pytest_asyncio

from cardd.assembly import assemble
from cardd.config import Access, Card, Config, SessionRules
from cardd.model import Caller, CallerKind, Peer
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from cardd_simulators.cards.store import Issued
from tests.rig.memory import ManualClock, MemoryAudit
from tests.rig.outside import Around
from tests.rig.prompter import ScriptedPrompter
from tests.rig.simulator import issue

PIN = "7319"
CALLER = Caller(CallerKind.PROGRAM, "lps-1", "LPS de test", "urn:cardd:client:lps-1", Peer(1000))
OTHER = Caller(CallerKind.PROGRAM, "lps-2", "Autre LPS", "urn:cardd:client:lps-2", Peer(1000))


@dataclass
class Core:
    """The parts, around one reader."""

    reader: InProcessReader
    card: SimulatedCard
    person: ScriptedPrompter = field(default_factory=ScriptedPrompter)
    clock: ManualClock = field(default_factory=ManualClock)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    hold: float = 0.5
    hold_pin: bool = True
    invalid_certificate: Literal["refuse", "warn"] = "refuse"

    def __post_init__(self) -> None:
        pin: Literal["hold", "ask"] = "hold" if self.hold_pin else "ask"
        config = Config(
            access=Access(owners=("*",)),
            card=Card(hold=self.hold, timeout=10),
            session=SessionRules(pin=pin, invalid_certificate=self.invalid_certificate),
        )
        around = Around(person=self.person, clock=self.clock, audit=self.audit)
        self.parts = assemble(config, around.made(InProcessReaders([self.reader])))
        self.events, self.readers, self.sessions = self.parts.events, self.parts.readers.every, self.parts.sessions
        self.signing, self.pin_life, self.login = self.parts.signing, self.parts.pin_life, self.parts.logins.cpx

    async def start(self) -> None:
        await self.parts.lifecycle.start()
        await self.parts.lifecycle.watch()

    async def stop(self) -> None:
        await self.parts.lifecycle.stop()


def make_turns_short(core: Core) -> None:
    """A turn on the card is over with each signature."""
    for card in core.readers.cards():
        card.access.turns.turn, card.access.turns.free = 0.0, 0.01


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
