"""The API over real sockets, on the real core, with simulated cards in process and a scripted person."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, cast

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from cardd.api.server import ApiServer
from cardd.api.services import ApiLimits, Logins, Services
from cardd.config import Dmp, Psc, SessionRules, Upstream
from cardd.core.clients import Clients
from cardd.core.consent import Consents
from cardd.core.events import EventBus
from cardd.core.lifecycle import Lifecycle, Outer
from cardd.core.pin import PinEntry, PinGuard
from cardd.core.pin_life import PinLife
from cardd.core.prompts import AnnouncedPrompter
from cardd.core.pseudonyms import Pseudonyms
from cardd.core.readers import Readers
from cardd.core.registry import DriverRegistry
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.core.support import SupportCodes
from cardd.core.trace import Trace
from cardd.documents.assertions import Assertions
from cardd.documents.held import HeldDocuments
from cardd.documents.signing import DocumentSigning, Stamper
from cardd.documents.verification import Anchors, Verifier
from cardd.formats.pdf.process import PdfProcess
from cardd.identity.authorities import KnownAuthorities
from cardd.identity.card_login import CardChoice, CardLogin, CpxLogin
from cardd.identity.csa import CsaLogin, OrganisationKey
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.expiry import ExpiryWatch
from cardd.identity.methods import Methods
from cardd.identity.situations import Situations
from cardd.model import Peer
from cardd.ports import Clock
from cardd.relay.relay import ClientCertificates, Relay
from cardd.system.host import SystemClock
from cardd.system.revocation import RevocationCache, RevocationHttp
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.vitale import VitaleDriver
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from tests.rig.memory import ManualClock, MemoryAudit, SwitchedSecrets, SwitchedStore
from tests.rig.prompter import ScriptedPrompter
from tests.rig.simulator import PIN as CARD_PIN
from tests.rig.simulator import simulated_card

PIN = CARD_PIN.decode()
PAGE = "https://webps.example"
PAGE_WITH_PORT = "https://autre.example:8443"
DEVELOPMENT_PAGE = "http://localhost:5173"
ALLOWED = frozenset([PAGE, PAGE_WITH_PORT, DEVELOPMENT_PAGE])
PROGRAM = "/opt/lps/bin/lps"
SOFTWARE = {"name": "LPS de test", "vendor": "Éditeur fictif", "software_id": "lps-test"}

Via = Literal["v4", "v6", "unix"]
Json = dict[str, object]


@dataclass(frozen=True)
class Got:
    """One answer."""

    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def json(self) -> Json:
        """The body as JSON; empty when there is none."""
        return cast(Json, json.loads(self.raw)) if self.raw else {}

    @property
    def code(self) -> object:
        """The problem's code."""
        assert self.headers["Content-Type"] == "application/problem+json", self.raw
        return self.json["code"]

    def text(self, *path: str | int) -> str:
        """A text of the body, by keys and indexes."""
        found: object = self.json
        for step in path:
            found = cast(dict[str | int, object], found)[step]
        assert isinstance(found, str)
        return found


@dataclass
class Workbench:
    """Everything between the sockets and the simulated card; ``uid`` is whom the system names as the caller."""

    directory: Path
    limits: ApiLimits = field(default_factory=ApiLimits)
    unknown_origins: Literal["refuse", "ask"] = "refuse"
    hold_pin: bool = True
    psc: Psc = field(default_factory=Psc)
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    dmp: Dmp = field(default_factory=Dmp)
    stamper: Callable[[], Awaitable[Stamper]] | None = None
    anchors: Anchors = field(default_factory=Anchors)
    is_online: bool = True
    totp: bool = False
    known: KnownAuthorities = field(default_factory=KnownAuthorities)
    today: Clock = field(default_factory=SystemClock)
    uid: int | None = field(default_factory=os.getuid)

    def __post_init__(self) -> None:
        self.person = ScriptedPrompter(PIN)
        self.clock, self.audit, self.store = ManualClock(), MemoryAudit(), SwitchedStore()
        self.card = simulated_card()
        self.reader = InProcessReader("Lecteur A", self.card)
        self.other_reader = InProcessReader("Lecteur B")
        self.source = InProcessReaders([self.reader, self.other_reader])
        self.events = EventBus()
        registry = DriverRegistry([Cps3Driver(), VitaleDriver()])
        self.trace = Trace(self.clock)
        self.lifecycle = lifecycle = Lifecycle()
        self.readers = Readers(registry, self.events, self.trace, lifecycle, hold=0.5, timeout=10)
        self.sessions = Sessions(self.clock, self.events, SessionRules(), lifecycle)
        prompter = AnnouncedPrompter(self.person, self.events)
        self.consents = Consents(prompter, self.clock, batch_max=50, batch_lifetime=600)
        self.clients = Clients(self.store, prompter, self.clock, lifecycle, allowed_origins=ALLOWED)
        guard = PinGuard(self.clock)
        self.pins = PinEntry(prompter, guard)
        self.signing = Signing(self.sessions, self.consents, self.pins, self.audit, hold_pin=self.hold_pin)
        login = CardLogin(
            self.readers,
            self.sessions,
            self.pins,
            self.consents,
            self.audit,
            hold_pin=self.hold_pin,
            authorities=self.known,
        )
        self.secrets = SwitchedSecrets()
        expiry = ExpiryWatch(self.store, self.clock, self.events)
        csa = CsaLogin(login, self.readers, self.secrets, expiry, token=None)
        self.ecps = EcpsLogins(
            self.sessions,
            prompter,
            self.consents,
            self.audit,
            SystemClock(),
            settings=self.psc,
            secrets=self.secrets,
            store=self.store,
            organisation=csa,
        )
        self.logins = Logins(CpxLogin(login, CardChoice(self.readers, prompter), csa.owns), csa, self.ecps)
        self.held = HeldDocuments(self.clock)
        self.pdf = PdfProcess()
        situations = Situations(self.signing, self.sessions, prompter)
        organisation = OrganisationKey(csa, self.pins, self.sessions)
        self.relay = Relay(
            self.upstreams, self.sessions, ClientCertificates(self.signing, organisation, self.audit), SystemClock()
        )
        self.services = Services(
            readers=self.readers,
            sessions=self.sessions,
            clients=self.clients,
            consents=self.consents,
            signing=self.signing,
            documents=DocumentSigning(self.signing, self.today, self.pdf, self.stamper),
            held=self.held,
            assertions=Assertions(
                self.sessions,
                self.signing,
                self.consents,
                situations,
                organisation,
                self.ecps,
                Pseudonyms(self.store),
                self.audit,
                SystemClock(),
                self.dmp,
            ),
            verifier=self._verifier(),
            logins=self.logins,
            methods=Methods(self.readers, self.logins.csa, self.ecps, expiry),
            relay=self.relay,
            situations=situations,
            pin_life=PinLife(prompter, self.pins, guard, self.audit, lifecycle),
            support=self._support(),
            events=self.events,
            trace=self.trace,
            clock=self.clock,
            version="0.0-test",
            unknown_origins=self.unknown_origins,
        )
        self.server = ApiServer(self.services, peer_of=self._peer_of, limits=self.limits)
        lifecycle.join(
            Outer(watching=partial(self.source.start, self.readers), stopping=self.source.stop),
            Outer(stopping=self.readers.close),
            Outer(stopping=lambda: asyncio.to_thread(self.pdf.close)),
            Outer(stopping=self.asking.close),
            self.consents,
            organisation,
            situations,
            self.held,
            self.relay,
            self.ecps,
            Outer(stopping=self.server.stop),
            self.clients,
            self.sessions,
        )
        self._sessions: dict[Via, aiohttp.ClientSession] = {}
        self._stale: list[aiohttp.ClientSession] = []

    def _verifier(self) -> Verifier:
        self.asking = RevocationHttp(is_local=True)
        network = self.asking if self.is_online else None
        return Verifier(self.anchors, network, RevocationCache(self.directory / "answers"), self.pdf, SystemClock())

    def _support(self) -> SupportCodes:
        return SupportCodes(
            self.store, self.secrets, self.audit, self.clock, demanded=self.totp, label="poste SIMULATION"
        )

    def _peer_of(self, _sock: socket.socket) -> Peer | None:
        return None if self.uid is None else Peer(self.uid, os.getpid(), PROGRAM)

    async def start(self, *, watches: bool = True) -> None:
        """Listen on both loopback families, on one port, and on the Unix socket; ``watches`` begins the rest."""
        four, six = _two_families()
        unix = socket.socket(socket.AF_UNIX)
        self.path = str(self.directory / "cardd.sock")
        unix.bind(self.path)
        self.port: int = four.getsockname()[1]
        await self.lifecycle.start()
        await self.server.start([four, six, unix])
        if watches:
            await self.lifecycle.watch()

    async def stop(self) -> None:
        """In the daemon's order."""
        for session in (*self._sessions.values(), *self._stale):
            await session.close()
        await self.lifecycle.stop()

    # --- as a caller ---

    def base(self, via: Via = "v4") -> str:
        """The URL of the daemon's root."""
        return {
            "v4": f"http://127.0.0.1:{self.port}",
            "v6": f"http://[::1]:{self.port}",
            "unix": "http://localhost",
        }[via]

    def http(self, via: Via = "v4") -> aiohttp.ClientSession:
        """A client that keeps its connections."""
        if via not in self._sessions:
            connector = aiohttp.UnixConnector(self.path) if via == "unix" else aiohttp.TCPConnector()
            self._sessions[via] = aiohttp.ClientSession(connector=connector)
        return self._sessions[via]

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = None,
        via: Via = "v4",
        headers: Mapping[str, str] | None = None,
    ) -> Got:
        """One request; ``body`` is sent as JSON, bytes as they are."""
        sent: CIMultiDict[str] = CIMultiDict(headers or {})
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        url = self.base(via) + path
        content = None if data is None else io.BytesIO(data)  # plain bytes of this size make aiohttp warn
        async with self.http(via).request(method, url, data=content, headers=sent) as answer:
            return Got(answer.status, answer.headers, await answer.read())

    def forget_connections(self) -> None:
        """Make new connections from now on: who is at the other end is asked once for each."""
        self._stale += self._sessions.values()
        self._sessions = {}

    async def raw(self, request: str | bytes, *, port: int | None = None) -> bytes:
        """Bytes as they are, over TCP; what came back until the daemon hung up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        writer.write(request if isinstance(request, bytes) else request.encode())
        with suppress(ConnectionError):
            await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    async def pair(self, **said: object) -> str:
        """A paired program's secret."""
        got = await self.call("POST", "/v1/clients", {**SOFTWARE, **said})
        assert got.status == 201, got.raw
        return got.text("client_secret")

    async def login(self, secret: str, **headers: str) -> tuple[str, str]:
        """A session's path and its token."""
        got = await self.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret, headers=headers)
        assert got.status == 201, got.raw
        return got.headers["Location"], got.text("token")

    async def logged_in(self) -> tuple[str, str]:
        """Paired and logged in: a session's path and its token."""
        return await self.login(await self.pair())


def _two_families() -> tuple[socket.socket, socket.socket]:
    while True:
        four, six = socket.socket(socket.AF_INET), socket.socket(socket.AF_INET6)
        four.bind(("127.0.0.1", 0))
        try:
            six.bind(("::1", four.getsockname()[1]))
        except OSError:
            four.close()
            six.close()
        else:
            return four, six
