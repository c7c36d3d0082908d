"""What programs on this machine say: of the person's, of another user's, and the processes that cardd starts."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from cardd.agent import lines, notices, tray
from cardd.agent.assuan import Assuan, Refusal
from cardd.agent.server import AgentServer
from cardd.agent.witness import Witness
from cardd.apdu import Protocol
from cardd.api.call import Shape
from cardd.api.routes import ROUTES
from cardd.core.page_keys import challenge_of, page_key
from cardd.errors import CarddError
from cardd.frames import Broken, framed
from cardd.p11.handshake import handshake_in
from cardd.p11.wire import Frames, Malformed, Reader
from cardd.pcsc.lent import LentWinScard
from cardd.pcsc.winscard import FOREVER, Disposition, Handle
from cardd.secret import Secret
from cardd_drivers.pkcs11.wire import receive_reply, receive_request
from tests.api.workbench import Workbench
from tests.fuzz.parser import Parser
from tests.fuzz.talking import ENDINGS, Failed, answering, on_loop, said, turns
from tests.p11.inside import Inside

BODIES = [Shape(*route.body) for route in ROUTES if len(route.body) == 1]
FIELDS = tuple(sorted({name.encode() for shape in BODIES for name in shape.types[0].__struct_fields__}))
HANDLE = Handle(1, 1, "Lecteur SIMULATION", Protocol.T0)
CARRIED = 64  # inputs that one daemon takes before the next, so that an input breaks what it breaks by itself
PAGE, ADDRESS, CHALLENGE = "https://webps.example", "127.0.0.1:17463", "c2ltdWxhdGlvbg"
PINENTRY_WORDS = (b"OK", b"ERR 83886179 ", b"D ", b"S ", b"# ", b"\n", b"%0A")
AGENT_WORDS = (b"OK cardd-agent fr\n", b"-witness", b"-notices", b"-tray", b"-readers", b"OPEN\n")
TOLD_WORDS = (b'"topic"', b'"params"', b'"link"', b'"state"', b'"cards"', b'"sessions"', b'"failure"', b'"done"')
LENT_WORDS = (
    b'"readers": ',
    b'"states": ',
    b'"error": ',
    b'"handle": ',
    b'"protocol": ',
    b'"Lecteur A"',
    b"NaN",
    b"Infinity",
)
TLS_WORDS = (b" " * 64 + b"TLS 1.3, client CertificateVerify\0",)
HTTP_WORDS = (
    b"Host: localhost", b"Origin: https://webps.example", b"Authorization: Bearer ", b"Content-Type: application/json",
    b"Content-Length: ", b"Transfer-Encoding: chunked", b"Upgrade: websocket", b"Connection: Upgrade", b"HTTP/1.1",
    b"Expect: 100-continue", b"Sec-Fetch-Mode: cors", b"Idempotency-Key: ", b"Prefer: respond-async", b"/v1/sessions",
    b"/v1/clients", b"/v1/events", b"/v1/status", b"/openapi.json", b"POST ", b"DELETE ", b"OPTIONS ",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Sec-WebSocket-Version: 13", b"Cardd-Support-Code: ", b"\r\n\r\n",
)  # fmt: skip


# --- PKCS#11


def _calls(data: bytes) -> None:
    """The bytes as a program sends them, by pieces; each call's values read as its signature says."""
    frames = Frames()
    for place in range(0, len(data), 997):
        frames.add(data[place : place + 997])
        while request := frames.take():
            if request.body is not None:
                _values(Reader(request.body))


def _values(reader: Reader) -> None:
    reads: dict[str, Callable[[], object]] = {
        "y": reader.byte, "u": reader.ulong, "ay": reader.octets, "fy": reader.room, "fu": reader.room,
        "fA": reader.wanted, "aA": reader.template, "M": reader.mechanism,
    }  # fmt: skip
    kinds = reader.signature.decode("latin-1")
    while kinds:
        kind = next((known for known in ("ay", "fy", "fu", "fA", "aA", "y", "u", "M") if kinds.startswith(known)), "")
        if not kind:
            return
        kinds = kinds.removeprefix(kind)
        reads[kind]()


def _handshake(data: bytes) -> None:
    found = handshake_in(data)
    assert found is None or found.isprintable()


class Carried:
    """A daemon's parts for many inputs, begun anew now and then; ``begin`` returns its socket, and what ends it."""

    def __init__(self, begin: Callable[[Path], Awaitable[tuple[str, Callable[[], Awaitable[None]]]]]) -> None:
        self._begin = begin
        self._count = 0
        self._path = ""

    async def there(self) -> str:
        """Return the path to the socket."""
        if not self._path or self._count % CARRIED == 0:
            await self._end()
            self._directory = tempfile.TemporaryDirectory(prefix="fuzz", dir="/tmp")  # a socket's path is short
            self._path, self._stop = await self._begin(Path(self._directory.name))
            ENDINGS.append(self._end)
        self._count += 1
        return self._path

    async def _end(self) -> None:
        if self._path:
            self._path = ""
            await self._stop()
            self._directory.cleanup()


async def _p11(place: Path) -> tuple[str, Callable[[], Awaitable[None]]]:
    inside = await Inside(place).__aenter__()
    return str(inside.path), inside.__aexit__


async def _p11_program(data: bytes) -> None:
    await said(await P11.there(), data)


# --- HTTP


async def _api(place: Path) -> tuple[str, Callable[[], Awaitable[None]]]:
    bench = Workbench(place)
    await bench.start()
    return bench.path, bench.stop


async def _http(data: bytes) -> None:
    heard = await said(await API.there(), data)
    if heard.startswith(b"HTTP/1.1 5"):
        raise Failed(heard[:200].decode(errors="replace"))


def _body(data: bytes) -> None:
    """The first byte chooses the call."""
    if data:
        BODIES[data[0] % len(BODIES)].decode(data[1:])


def _page(data: bytes) -> None:
    """The two coordinates of a key and a proof, a line each."""
    x, _, rest = data.decode("latin-1").partition("\n")
    y, _, proof = rest.partition("\n")
    challenge_of(proof)
    page_key(x, y).check(proof, origin=PAGE, address=ADDRESS, challenge=CHALLENGE)


# --- agents and pinentries


async def _pinentry(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        talk, answer = Assuan(ours), Secret()
        try:
            await talk.greeting()
            for command in ("SETTITLE", "GETPIN", "CONFIRM"):
                with suppress(Refusal):
                    await talk.command(command, "PIN", answer)
        finally:
            talk.close()
            answer.wipe()


async def _agent(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz", dir="/tmp") as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path := str(Path(directory) / "agent"))
        listener.listen()
        server = AgentServer(link=lambda _: "http://localhost/")
        server.start(listener)
        await said(path, data)
        assert server.waiting(os.getuid()) == 0  # it has left
        await server.stop()
        await turns(4)


async def _witness(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        theirs.sendall(data + b"\n")
        theirs.shutdown(socket.SHUT_WR)
        seen = Witness(ours)
        try:
            await seen.holders([1, 2])
        finally:
            seen.close()


class _Shower:
    async def show(self, *_: object, **__: object) -> None:
        """Show nothing."""

    async def hide(self) -> None:
        """Show nothing any more."""

    async def tell(self, *_: object, replaces: str = "") -> None:
        """Tell nothing."""

    async def open(self, _: str) -> None:
        """Open nothing."""


async def _notice(data: bytes) -> None:
    with suppress(ValueError, RecursionError):  # which end the connection
        told, shower = lines.read(data), _Shower()
        await notices.heard("fr", shower, told, lambda _: None)
        await tray.heard("fr", shower, shower, told, lambda _: None)


# --- readers lent by an agent


CALLS: tuple[Callable[[LentWinScard], object], ...] = (
    lambda lent: lent.readers(1),
    lambda lent: lent.wait(1, [("Lecteur A (remote desktop 1)", 0)], FOREVER),
    lambda lent: lent.wait(1, [("Lecteur A (remote desktop 1)", 0)], 1000),
    lambda lent: lent.connect(1, "Lecteur A (remote desktop 1)"),
    lambda lent: lent.reconnect(HANDLE, Disposition.RESET),
    lambda lent: lent.atr(HANDLE),
    lambda lent: lent.transmit(HANDLE, [0, 0xB0, 0, 0, 0]),
    lambda lent: lent.control(HANDLE, 1, []),
    lambda lent: lent.begin(HANDLE),
    lambda lent: lent.disconnect(HANDLE, Disposition.LEAVE),
)


def _lent(data: bytes) -> None:
    """The first byte chooses the call, the others are the agent's answer."""
    if data:
        answering(framed(data[1:]), partial(_lent_by, CALLS[data[0] % len(CALLS)]))


def _lent_by(call: Callable[[LentWinScard], object], link: socket.socket) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lent = LentWinScard(ours, " (remote desktop 1)")
        lent._links[1] = link
        call(lent)


# --- the processes of PKCS#11 modules


def _module(data: bytes) -> None:
    answering(framed(data), lambda link: receive_reply(link, time.monotonic() + 5))


def _asked_of_module(data: bytes) -> None:
    for secret in answering(data, lambda link: receive_request(link)[1]):  # type: ignore[attr-defined]
        secret.wipe()


P11, API = Carried(_p11), Carried(_api)
_WIRE = ("cardd.p11.wire",)
_ASSUAN = ("cardd.agent.assuan",)
_LEFT = (CarddError, Broken)

PARSERS: dict[str, Parser] = {
    "p11_calls": Parser(_calls, _WIRE, (Malformed,), longest=16_384),
    "p11_program": Parser(
        on_loop(_p11_program),
        tuple(
            f"cardd.p11.{name}"
            for name in ("connection", "wire", "module", "objects", "mechanisms", "calls", "turns", "tokens", "uses")
        ),
        longest=16_384,
    ),
    "p11_handshake": Parser(_handshake, ("cardd.p11.handshake",), words=TLS_WORDS),
    "http": Parser(
        on_loop(_http),
        ("cardd.api.connections", "cardd.api.dispatch", "cardd.api.access", "cardd.api.router", "cardd.api.call"),
        longest=16_384,
        words=HTTP_WORDS,
    ),
    "body": Parser(_body, ("cardd.api.call",), words=FIELDS),
    "page_proof": Parser(_page, ("cardd.core.page_keys",)),
    "pinentry": Parser(on_loop(_pinentry), _ASSUAN, words=PINENTRY_WORDS),
    "agent": Parser(
        on_loop(_agent),
        ("cardd.agent.server", "cardd.agent.assuan", "cardd.agent.notices"),
        words=AGENT_WORDS,
    ),
    "witness": Parser(on_loop(_witness), ("cardd.agent.witness",), words=(b'{"1": [["/bin/sh", 1, 2, false]]}',)),
    "notice": Parser(
        on_loop(_notice), ("cardd.agent.lines", "cardd.agent.notices", "cardd.agent.tray"), words=TOLD_WORDS
    ),
    "lent_reader": Parser(
        _lent,
        ("cardd.pcsc.lent", "cardd.frames"),
        words=LENT_WORDS,
    ),
    "module": Parser(_module, ("cardd_drivers.pkcs11.wire", "cardd.frames"), _LEFT),
    "asked_of_module": Parser(_asked_of_module, ("cardd_drivers.pkcs11.wire", "cardd.frames"), (*_LEFT, ValueError)),
}  # fmt: skip
