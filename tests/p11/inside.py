"""The parts of a daemon in this process, with a simulated card, a scripted person, and programs that connect."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from cardd.assembly import assemble
from cardd.config import P11, Access, Config, Psc, SessionRules
from cardd.model import Peer
from cardd.ports import Handover
from cardd.values import replace
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from tests.p11.client import Client
from tests.rig.outside import Around
from tests.rig.prompter import ScriptedPrompter
from tests.rig.simulator import PIN, simulated_card

BROWSER = "/usr/lib/browser/browser"


@dataclass
class Inside(Around):
    """The parts, around a reader with a CPS3 and an empty one. ``program`` is what the next connection is taken for."""

    directory: Path
    _: KW_ONLY
    person: ScriptedPrompter = field(default_factory=partial(ScriptedPrompter, *[PIN.decode()] * 9))
    settings: P11 = field(default_factory=P11)
    psc: Psc = field(default_factory=Psc)
    owners: tuple[str, ...] = ("*",)
    holds_pins: bool = True
    program: str = BROWSER
    uid: int = field(default_factory=os.getuid)
    pid: int = field(default_factory=os.getpid)
    began: int = 0
    is_told: bool = True  # who sits here, where that is told at all: nobody
    handover: Handover = field(default_factory=Handover)

    def __post_init__(self) -> None:
        self.card = simulated_card()
        self.reader = InProcessReader("Lecteur A", self.card)
        self.other_reader = InProcessReader("Lecteur B")
        self.path = self.directory / "p11"
        self.clients: list[Client] = []
        sessions = SessionRules(pin="hold" if self.holds_pins else "ask")
        config = Config(p11=self.settings, psc=self.psc, access=Access(owners=self.owners), session=sessions)
        source = InProcessReaders([self.reader, self.other_reader])
        outside = self.made(source, listen_p11=self._listen_p11, peer_of=self._peer_of)
        self.parts = assemble(config, replace(outside, handover=self.handover))

    def _listen_p11(self) -> list[socket.socket]:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.path))
        listening.setblocking(False)
        return [listening]

    def _peer_of(self, _: socket.socket) -> Peer:
        return Peer(self.uid, self.pid, self.program, process=f"{self.pid}.{self.began}")

    async def __aenter__(self) -> Self:
        await self.parts.lifecycle.start()
        await self.parts.lifecycle.watch()
        if self.tells_who_sits_here and self.is_told:
            self.parts.readers.owners.seated(frozenset())
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self.clients:
            await client.close()
        await self.parts.lifecycle.stop()

    async def client(self, program: str = BROWSER, *, begins: bool = True) -> Client:
        """Return a connection of this program."""
        self.program = program
        made = await Client.at(self.path, begins=begins)
        self.clients.append(made)
        return made

    @property
    def dialogs(self) -> list[str]:
        """The topics of all dialogs so far: questions, then PINs."""
        return [*self.person.topics(), *(each.question.topic for each in self.person.pin_questions)]


async def soon() -> None:
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)
