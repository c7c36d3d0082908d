"""What stands around one part of the core that is tried alone: a person, a clock, and a session without a card."""

from __future__ import annotations

from cardd.config import Prompt
from cardd.core.card_access import CardAccess
from cardd.core.dialog_lines import DialogLines
from cardd.core.events import EventBus
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Lifecycle, Part
from cardd.core.pin_guard import PinGuard
from cardd.core.session import Session
from cardd.errors import CarddError
from cardd.model import Caller, CallerKey, CallerKind, CardKind, Identity, Peer
from cardd_simulators.cards.inprocess import InProcessReader
from tests.rig.memory import ManualClock, MemoryAudit, MemoryStore
from tests.rig.prompter import ScriptedPrompter

HOLDER = Identity("899700000001", "SIMULATION", "Camille")
UNLIMITED = Prompt(refusals=100)


def program(identifier: str = "lps", uid: int = 1000) -> Caller:
    """Return a program that calls."""
    return Caller(CallerKind.PROGRAM, identifier, f"{identifier} SIMULATION", "", Peer(uid))


class Heard(Part):
    """What the part told the others of clients, as one line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def client_shut_out(self, client: CallerKey, reason: str, name: str) -> None:
        self.lines.append(f"out {client.uid} {client.id} {reason} {name}")

    def client_let_in(self, client: Caller, act: str, consent: str | None) -> None:
        self.lines.append(f"in {client.peer.uid} {client.key.id} {act} {consent}")

    def client_refused(self, client: Caller, act: str, error: CarddError) -> None:
        self.lines.append(f"refused {client.peer.uid} {client.key.id} {act} {error.code}")

    def taken(self) -> list[str]:
        """Return what was told since the last time."""
        lines, self.lines = self.lines, []
        return lines


class Alone:
    """Around the part; ``person`` answers its dialogs, and ``heard`` has what it told the others."""

    def __init__(self, rules: Prompt = UNLIMITED, person: ScriptedPrompter | None = None) -> None:
        self.person, self.clock, self.store = person or ScriptedPrompter(), ManualClock(), MemoryStore()
        self.audit = MemoryAudit()
        self.events, self.lifecycle, self.heard = EventBus(), Lifecycle(), Heard()
        self.lifecycle.join(self.heard)
        self.dialogs = DialogLines(self.person, self.events, self.clock, rules, self.audit)

    def session(
        self, identifier: str = "session", caller: Caller | None = None, card: InsertedCard | None = None
    ) -> Session:
        """Return a session that nobody has opened."""
        now = self.clock.monotonic()
        return Session(
            id=identifier,
            token=f"token of {identifier}",
            caller=caller or program(),
            method="card",
            identity=HOLDER,
            card=card,
            credentials={},
            opened_at=self.clock.now(),
            started=now,
            used=now,
        )

    def card(self, identifier: str, kind: CardKind = CardKind.CPS3, user: int | None = None) -> InsertedCard:
        """Return a card of a reader in which nobody looks."""
        reader = InProcessReader("Lecteur de test")
        access = CardAccess(reader, PinGuard(self.clock), hold=0.5, timeout=1.0)
        return InsertedCard(identifier, reader.name, b"\x3b", kind, access, user=user)
