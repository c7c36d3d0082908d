"""Clients at work: each asks for one piece after the other, and again for a piece that came to nothing, as an LPS does.

A piece has a name of its own, which is its document's and its Idempotency-Key. It ends when it is signed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, cast

from tests.faults.site import Site
from tests.integration.workstation import text
from tests.p11.client import Client, Failed
from tests.rig.lps import Json, Lps
from tests.rig.pdf import pdf

LIMIT = 40.0  # seconds for an answer: no limit of the daemon's is longer here
PAUSE = 0.04
AGAIN = 0.15
LPS: Json = {"vendor": "SIMULATION", "software_id": "faults"}
BATCH = 5000
MAKER: Json = {"name": "LPS SIMULATION", "version": "1.0", "homologation": "SIM-0001", "installation": "poste-1"}
PATIENT: Json = {"ins": "185059999900181", "oid": "1.2.250.1.213.1.4.10"}
SIGNED, LOST, SILENT = "signed", "connection lost", "NO ANSWER"
NO_KEY = "no key"
UNREPEATABLE = "signature.lost"  # signed and recorded, and nobody has it: what no second try can make again


@dataclass(eq=False)
class Piece:
    """One piece of work. ``answers`` is what was said to it: problems' codes, LOST, at last SIGNED or UNREPEATABLE."""

    kind: str
    name: str
    begun: float = field(default_factory=time.monotonic)
    answers: list[str] = field(default_factory=list)
    session: str = ""
    asked: float = 0.0  # for the last time
    ended: float = 0.0
    value: str = ""


@dataclass(frozen=True)
class Opened:
    """A session: its path, its token, and when it was opened."""

    path: str
    token: str
    at: float


class Problem(Exception):
    """The daemon says no; the message is its code."""


class Caller:
    """A connection that reconnects.

    Raises Problem, TimeoutError for no answer, OSError and HTTPException for a lost connection.
    """

    def __init__(self, port: int) -> None:
        self._lps = Lps(port, timeout=LIMIT)

    def ask(self, method: str, path: str, body: Json | None, bearer: str | None, **headers: str) -> Json:
        """Return the answer; a connection that the daemon has closed meanwhile is opened anew, as HTTP libraries do."""
        authorization = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        try:
            if self._lps.has_ended:
                self._lps.close()
            status, answer = self._lps.call(method, path, body, **authorization, **headers)
        except (OSError, http.client.HTTPException, ValueError):
            self._lps.close()
            raise
        if status >= 400:
            raise Problem(str(answer.get("code", status)))
        return answer


class Program:
    """A paired practice software: its session, which is opened again when it has ended."""

    def __init__(self, site: Site, name: str, kind: str = "cps3") -> None:
        self._site = site
        self._kind = kind
        self._turn = threading.Lock()
        self._caller = Caller(site.station.daemon.port)
        self.opened: list[Opened] = []
        self.answers: list[str] = []
        self._current: Opened | None = None
        self.secret = text(self._caller.ask("POST", "/v1/clients", {"name": name, **LPS}, None), "client_secret")

    def session(self) -> Opened:
        """Return the open session. Raises as ``Caller.ask``."""
        with self._turn:
            self._current = self._current or self._log_in()
            return self._current

    def drop(self, session: Opened) -> None:
        """Take note that a session has ended."""
        with self._turn:
            if self._current is session:
                self._current = None

    def _log_in(self) -> Opened:
        cards = cast(list[Json], self._caller.ask("GET", "/v1/cards", None, self.secret)["cards"])
        card = next((text(card, "id") for card in cards if card["kind"] == self._kind), None)
        if card is None:
            raise Problem("no card")
        answer = self._caller.ask("POST", "/v1/sessions", {"method": "cpx", "card": card}, self.secret)
        opened = Opened(f"/v1/sessions/{answer['id']}", text(answer, "token"), time.monotonic())
        self.opened.append(opened)
        if self._kind == "cps3":
            self._caller.ask("POST", f"{opened.path}/situation", {"id": "1"}, opened.token)
        return opened

    def is_open(self, session: Opened) -> bool:
        """Return whether the daemon still serves a session."""
        try:
            Caller(self._site.station.daemon.port).ask("GET", session.path, None, session.token)
        except Problem:
            return False
        return True


class Worker(threading.Thread):
    """Asks for one piece after the other while the gate is open."""

    kind: ClassVar[str]

    def __init__(self, site: Site, work: Work) -> None:
        super().__init__(name=self.kind, daemon=True)
        self.site = site
        self._work = work
        self._numbers = count(1)
        self.rests = threading.Event()

    def run(self) -> None:
        """Work until the end."""
        while not self._work.is_over:
            self.rests.set()
            self._work.gate.wait()
            self.rests.clear()
            piece = Piece(self.kind, f"{self.kind}-{next(self._numbers)}-{self._work.mark}")
            self._work.pieces.append(piece)
            self._finish(piece)
            time.sleep(PAUSE)

    def _finish(self, piece: Piece) -> None:
        while not self._work.is_over:
            piece.asked = time.monotonic()
            try:
                self.attempt(piece)
            except Problem as problem:
                piece.answers.append(str(problem))
                if str(problem) == UNREPEATABLE:
                    return
            except TimeoutError:
                piece.answers.append(SILENT)
            except (OSError, http.client.HTTPException, ValueError, EOFError):
                piece.answers.append(LOST)
            else:
                piece.ended = time.monotonic()
                piece.answers.append(SIGNED)
                return
            time.sleep(AGAIN)

    def attempt(self, piece: Piece) -> None:
        """Ask once. Raises Problem, TimeoutError, OSError, HTTPException."""
        raise NotImplementedError


class HttpWorker(Worker):
    """Asks in a program's session."""

    def __init__(self, site: Site, work: Work, program: Program) -> None:
        super().__init__(site, work)
        self.program = program
        self._caller = Caller(site.station.daemon.port)

    def attempt(self, piece: Piece) -> None:
        """Ask in the session that is open, or in a new one."""
        session = self.program.session()
        piece.session = session.path
        try:
            piece.value = self.ask(piece, session)
        except Problem as problem:
            if str(problem).startswith("session."):
                self.program.drop(session)
            raise

    def ask(self, piece: Piece, session: Opened) -> str:
        """Return what was signed."""
        body = {"document_name": piece.name, "batch": {"name": self.kind, "count": BATCH}, **self.body(piece)}
        answer = self.post(piece, session, "signatures", body)
        return str(answer.get("signature") or answer.get("document"))

    def post(self, piece: Piece, session: Opened, place: str, body: Json) -> Json:
        """Return the answer under the piece's key."""
        return self._caller.ask("POST", f"{session.path}/{place}", body, session.token, Idempotency_Key=piece.name)

    def body(self, piece: Piece) -> Json:
        """Return what is asked for."""
        raise NotImplementedError


class Raw(HttpWorker):
    """A digest."""

    kind = "raw"

    def body(self, piece: Piece) -> Json:
        """Return one of its own."""
        return {"digest": base64.b64encode(hashlib.sha256(piece.name.encode()).digest()).decode()}


class Cades(HttpWorker):
    """A document, as CMS."""

    kind = "cades"

    def body(self, piece: Piece) -> Json:
        """Return one of its own."""
        return {"format": "cades", "document": base64.b64encode(piece.name.encode()).decode()}


class Pades(HttpWorker):
    """A PDF file."""

    kind = "pades"
    document = base64.b64encode(pdf()).decode()

    def body(self, piece: Piece) -> Json:
        """Return the file."""
        return {"format": "pades", "document": self.document}


class Token(Raw):
    """A digest, with the key of a PKCS#11 module's token."""

    kind = "token"


class Vihf(HttpWorker):
    """An assertion."""

    kind = "vihf"

    def ask(self, piece: Piece, session: Opened) -> str:
        """Return it."""
        body: Json = {"type": "vihf", "lps": MAKER, "patient": PATIENT}
        return text(self.post(piece, session, "assertions", body), "assertion")


class Relay(HttpWorker):
    """A request to a server that wants the card's certificate, through the network's proxy."""

    kind = "relay"

    def ask(self, piece: Piece, session: Opened) -> str:
        """Return what the server says. An answer that is not whole is a lost one."""
        path = f"{session.path}/upstreams/dmp/echo/{piece.name}"
        answer = self._caller.ask("GET", path, None, session.token)
        assert answer == {"echo": piece.name}, answer
        return piece.name


class Pkcs11(Worker):
    """A program that signs through PKCS#11."""

    kind = "pkcs11"

    def __init__(self, site: Site, work: Work) -> None:
        super().__init__(site, work)
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._session = self._key = 0
        self.opened: list[Opened] = []

    def attempt(self, piece: Piece) -> None:
        """Sign the piece's name."""
        try:
            signed = self._loop.run_until_complete(asyncio.wait_for(self._sign(piece), LIMIT))
        except (Problem, TimeoutError, Failed, OSError, EOFError) as error:
            self._loop.run_until_complete(self._hang_up())
            if isinstance(error, Failed):
                raise Problem(error.rv.name) from None
            raise
        piece.value = signed.hex()

    async def _sign(self, piece: Piece) -> bytes:
        if self._client is None:
            self._client = await Client.at(self.site.station.directory / "p11")
            slots = await self._client.slots(with_token=True)
            if not slots:
                raise Failed(0xE0)
            self._session = await self._client.session(slots[0])
            self.opened.append(Opened(f"PKCS#11 session {len(self.opened) + 1}", "", time.monotonic()))
            try:
                self._key = await self._client.key(self._session)
            except ValueError:  # as many as none
                raise Problem(NO_KEY) from None
        piece.session = self.opened[-1].path
        return await self._client.sign(self._session, self._key, piece.name.encode())

    def is_open(self, session: Opened) -> bool:
        """Return whether it would still sign in this session: it hangs up with its first failure."""
        return self._client is not None and session is self.opened[-1]

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client:
            with suppress(OSError):
                await client.close()


class Work:
    """All of them. ``pieces`` is what they were asked for so far."""

    def __init__(self, site: Site) -> None:
        self.gate = threading.Event()
        self.is_over = False
        self.mark = ""
        self.pieces: list[Piece] = []
        self.programs = [Program(site, "Cabinet"), Program(site, "Hôpital")]
        self.token = Program(site, "Jeton", "pkcs11")
        first, second = self.programs
        self.workers: list[Worker] = [
            *(kind(site, self, first) for kind in (Raw, Cades, Pades)),
            *(kind(site, self, second) for kind in (Vihf, Relay)),
            Pkcs11(site, self),
            Token(site, self, self.token),
        ]

    @property
    def holders(self) -> list[Program | Pkcs11]:
        """Return who holds sessions that end with the card."""
        return [*self.programs, *(worker for worker in self.workers if isinstance(worker, Pkcs11))]

    def start(self) -> None:
        """Let them begin to wait for the gate."""
        for worker in self.workers:
            worker.start()

    def end(self) -> None:
        """Let them go home."""
        self.is_over = True
        self.gate.set()
        for worker in self.workers:
            worker.join(LIMIT)

    def since(self, moment: float) -> float | None:
        """Return how long it took until each had a piece signed that it was first asked for after this moment."""
        firsts = [self._first(worker.kind, moment) for worker in self.workers]
        return None if None in firsts else max(cast(list[float], firsts)) - moment

    def _first(self, kind: str, moment: float) -> float | None:
        mine = (piece.ended for piece in list(self.pieces) if piece.kind == kind and piece.asked >= moment)
        return min(filter(None, mine), default=None)

    def rest(self, limit: float = 2 * LIMIT) -> list[str]:
        """Close the gate, and let each finish its piece; return which did not."""
        self.gate.clear()
        deadline = time.monotonic() + limit
        return [worker.kind for worker in self.workers if not worker.rests.wait(max(0, deadline - time.monotonic()))]
