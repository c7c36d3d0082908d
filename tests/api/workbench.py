"""The API over real sockets, on the real core, with simulated cards in process and a scripted person."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, cast

import aiohttp
from msgspec.structs import replace
from multidict import CIMultiDict, CIMultiDictProxy

from cardd.api.handshake import Contexts
from cardd.assembly import assemble
from cardd.config import Config
from cardd.core.page_passes import PASS_LIFETIME
from cardd.model import Peer
from cardd.system import loopback_tls
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from tests.rig.memory import SwitchedSecrets, SwitchedStore
from tests.rig.outside import Around
from tests.rig.page_keys import BrowserKey, consents
from tests.rig.prompter import ScriptedPrompter
from tests.rig.simulator import PIN as CARD_PIN
from tests.rig.simulator import simulated_card

PIN = CARD_PIN.decode()
PAGE = "https://webps.example"
PAGE_WITH_PORT = "https://autre.example:8443"
DEVELOPMENT_PAGE = "http://localhost:5173"
ALLOWED = (PAGE, PAGE_WITH_PORT, DEVELOPMENT_PAGE)
PAGE_USERS = (1000, 1001)
PROGRAM = "/opt/lps/bin/lps"
EMPTY_VERIFY = bytes.fromhex("0020000100")
SOFTWARE = {"name": "LPS de test", "vendor": "Éditeur fictif", "software_id": "lps-test"}

CHALLENGES = "/v1/clients/challenges"
FREE = ("/v1/clients", CHALLENGES, "/v1/status", "/openapi.json")  # what a page asks before it has proved itself

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
class Workbench(Around):
    """The parts between the sockets and the simulated card; the system names ``uid`` and ``program`` as the caller's.

    The pages of ``ALLOWED`` may call, whatever ``config`` says of pages: a few users have let ``key`` in for them, and
    ``call`` proves it where a request has no ``bearer``. ``over_tls`` has TCP speak TLS: all that calls over it does.
    """

    directory: Path
    config: Config = field(default_factory=Config)
    _: KW_ONLY
    person: ScriptedPrompter = field(default_factory=partial(ScriptedPrompter, PIN))
    store: SwitchedStore = field(default_factory=SwitchedStore)
    secrets: SwitchedSecrets = field(default_factory=SwitchedSecrets)
    uid: int | None = field(default_factory=os.getuid)
    program: str = PROGRAM
    over_tls: bool = False

    def __post_init__(self) -> None:
        self.key, self._passes = BrowserKey(), dict[tuple[str, int | None], tuple[str, float]]()
        self.store.documents.setdefault("clients", consents(self.key, ALLOWED, {os.getuid(), *PAGE_USERS}))
        self.card = simulated_card()
        self.reader = InProcessReader("Lecteur A", self.card)
        self.other_reader = InProcessReader("Lecteur B")
        source = InProcessReaders([self.reader, self.other_reader])
        config = replace(self.config, web=replace(self.config.web, allowed_origins=ALLOWED))
        self.parts = assemble(config, self.made(source, listen=self._listen, peer_of=self._peer_of))
        self.events, self.readers, self.sessions = self.parts.events, self.parts.readers.every, self.parts.sessions
        self.ecps, self.held, self.lifecycle = self.parts.logins.ecps, self.parts.held, self.parts.lifecycle
        self._sessions: dict[Via, aiohttp.ClientSession] = {}
        self._stale: list[aiohttp.ClientSession] = []
        self.trusted: ssl.SSLContext | None = None

    async def start(self, *, watches: bool = True) -> None:
        """Start; ``watches`` begins the rest."""
        await self.lifecycle.start()
        if watches:
            await self.lifecycle.watch()

    async def stop(self) -> None:
        """Hang up, and stop."""
        for session in (*self._sessions.values(), *self._stale):
            await session.close()
        await self.lifecycle.stop()

    def seat(self, *uids: int) -> None:
        """Have these users sit at the machine, and nobody else."""
        self.parts.readers.owners.seated(frozenset(uids))

    def turn_to(self, uid: int) -> None:
        """Have this OS user make the next connections; those that are open stay the other's."""
        self.uid = uid
        self.forget_connections()

    def _listen(self) -> Sequence[tuple[socket.socket, Contexts | None]]:
        """Open both loopback families, on one port, and the Unix socket."""
        four, six = _two_families()
        unix = socket.socket(socket.AF_UNIX)
        self.path = str(self.directory / "cardd.sock")
        unix.bind(self.path)
        self.port: int = four.getsockname()[1]
        served: Contexts | None = None
        if self.over_tls:
            made = loopback_tls.make()
            loopback_tls.keep(self.directory, made.server)
            served = loopback_tls.Served(self.directory).context
            self.trusted = ssl.create_default_context(cadata=made.authority)
        return (four, served), (six, served), (unix, None)

    def _peer_of(self, _sock: socket.socket) -> Peer | None:
        return None if self.uid is None else Peer(self.uid, os.getpid(), self.program)

    def asked_of_card(self) -> list[bytes]:
        """What the card got, but the question that ends a login's idle hold: the clock says when, and no request."""
        return [apdu for apdu in self.card.log if apdu != EMPTY_VERIFY]

    # --- as a caller ---

    def base(self, via: Via = "v4") -> str:
        """The URL of the daemon's root."""
        scheme = "https" if self.trusted else "http"
        return {
            "v4": f"{scheme}://127.0.0.1:{self.port}",
            "v6": f"{scheme}://[::1]:{self.port}",
            "unix": "http://localhost",
        }[via]

    def http(self, via: Via = "v4") -> aiohttp.ClientSession:
        """A client that keeps its connections."""
        if via not in self._sessions:
            connector = (
                aiohttp.UnixConnector(self.path) if via == "unix" else aiohttp.TCPConnector(ssl=self.trusted or True)
            )
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
        if not bearer and sent.get("Origin") in ALLOWED and via != "unix" and method != "OPTIONS" and path not in FREE:
            bearer = await self.page_pass(sent["Origin"], via)
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        url = self.base(via) + path
        content = None if data is None else io.BytesIO(data)  # plain bytes of this size make aiohttp warn
        async with self.http(via).request(method, url, data=content, headers=sent) as answer:
            return Got(answer.status, answer.headers, await answer.read())

    async def page_pass(self, origin: str, via: Via = "v4") -> str | None:
        """A pass of this origin's page, proved anew when the last one is old; None where the daemon gives none."""
        token, ends = self._passes.get((origin, self.uid), (None, 0.0))
        if token is None or ends <= self.clock.monotonic():
            got = await self.enter(origin, via=via)
            if got.status != 201:
                return None
            token = got.text("token")
            self._passes[origin, self.uid] = token, self.clock.monotonic() + PASS_LIFETIME
        return token

    async def enter(self, origin: str, key: BrowserKey | None = None, *, via: Via = "v4", **asked: object) -> Got:
        """What a page of this origin is told that proves a key."""
        shown, page = key or self.key, {"Origin": origin}
        challenge = await self.call("POST", CHALLENGES, {}, via=via, headers=page)
        if challenge.status != 201:
            return challenge
        proof = shown.proof(challenge.text("challenge"), origin, self.base(via).partition("://")[2])
        body = {"page_key": shown.jwk, "proof": proof, **asked}
        return await self.call("POST", "/v1/clients", body, via=via, headers=page)

    async def page(self, origin: str, via: Via = "v4") -> dict[str, str]:
        """The headers of a page of this origin that proved itself."""
        return {"Origin": origin, "Authorization": f"Bearer {await self.page_pass(origin, via)}"}

    def forget_connections(self) -> None:
        """Make new connections from now on: who is at the other end is asked once for each."""
        self._stale += self._sessions.values()
        self._sessions = {}

    async def connect(self, sock: socket.socket | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection over TCP, with its handshake where there is one; over this socket, which is connected."""
        name = "localhost" if self.trusted else None
        if sock is not None:
            return await asyncio.open_connection(sock=sock, ssl=self.trusted, server_hostname=name)
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trusted, server_hostname=name)

    async def raw(self, request: str | bytes, *, port: int | None = None) -> bytes:
        """Bytes as they are, over TCP; what came back until the daemon hung up."""
        try:
            reader, writer = await (asyncio.open_connection("127.0.0.1", port) if port else self.connect())
        except ConnectionError:  # hung up on in the handshake
            return b""
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
