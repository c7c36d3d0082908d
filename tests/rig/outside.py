"""What stands around the parts in a test: kept in memory, moved and answered as the test says."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cardd.api.parts import ApiLimits
from cardd.api.server import Listen
from cardd.assembly import Outside
from cardd.core.lifecycle import Outer
from cardd.documents.signing import Exchange
from cardd.model import Peer
from cardd.outward import DIRECT, Outward
from cardd.ports import ProgramFile, ReaderSource, SecretStore, Store
from cardd.system.outgoing import RevocationCache, RevocationHttp
from cardd.system.peer import has_left
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.vitale import VitaleDriver
from tests.rig.memory import ManualClock, MemoryAudit, MemoryPeople, MemorySecrets, MemoryStore
from tests.rig.prompter import ScriptedPrompter


class EveryBrowser:
    """``cardd.ports.Browsers``: whatever sends an Origin is a browser, unless the test names it here."""

    def __init__(self) -> None:
        self.stranger_is: str | Exception | None = None
        self.looks = 0

    async def stranger(self, _peer: Peer) -> str | None:
        """Return what the test says, or raise it."""
        self.looks += 1
        if isinstance(self.stranger_is, Exception):
            raise self.stranger_is
        return self.stranger_is


@dataclass
class KnownFiles:
    """``cardd.ports.ProgramFiles``: every program runs the file that its peer names."""

    is_lasting: bool = True

    async def of(self, peer: Peer) -> ProgramFile:
        """Return it."""
        return ProgramFile(peer.program or "", self.is_lasting)


@dataclass(kw_only=True)
class Around:
    """One test's; ``made`` gives it to ``assemble``, with these readers. Authorities may be on this machine."""

    person: ScriptedPrompter = field(default_factory=ScriptedPrompter)
    clock: ManualClock = field(default_factory=ManualClock)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    store: Store = field(default_factory=MemoryStore)
    secrets: SecretStore = field(default_factory=MemorySecrets)
    limits: ApiLimits = field(default_factory=ApiLimits)
    authorities: Sequence[bytes] = ()
    timestamps: Exchange | None = None
    outward: Outward = DIRECT
    people: MemoryPeople = field(default_factory=MemoryPeople)
    tells_who_sits_here: bool = False
    browsers: EveryBrowser = field(default_factory=EveryBrowser)
    program_files: KnownFiles = field(default_factory=KnownFiles)

    def made(
        self,
        *sources: ReaderSource,
        listen: Listen = tuple,
        listen_p11: Callable[[], Sequence[socket.socket]] = tuple,
        peer_of: Callable[[socket.socket], Peer | None] = lambda _: Peer(os.getuid()),
    ) -> Outside:
        """Make the outside; without ``listen`` the API is served nowhere."""
        revocation = RevocationHttp(is_local=True)
        return Outside(
            clock=self.clock,
            audit=self.audit,
            store=self.store,
            secrets=self.secrets,
            prompter=self.person,
            people=self.people,
            sources=sources,
            listen=listen,
            listen_p11=listen_p11,
            peer_of=peer_of,
            program_peer_of=peer_of,
            program_files=self.program_files,
            has_left=has_left,
            browsers=self.browsers,
            revocation=revocation,
            answers=RevocationCache(None),
            timestamps=self.timestamps,
            outward=self.outward,
            drivers=[Cps3Driver(), Cps4Driver(), VitaleDriver()],
            authorities=self.authorities,
            parts=[Outer("revocation", stopping=revocation.close)],
            descriptors=self.limits.descriptors,
            limits=self.limits,
            tells_who_sits_here=self.tells_who_sits_here,
            version="0.0-test",
        )
