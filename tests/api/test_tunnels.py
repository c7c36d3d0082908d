"""Raw connections to configured servers, with the card's certificate: any protocol, under the session's rules."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from msgspec.structs import replace

from cardd.config import Config, Upstream
from cardd.model import Choice
from tests.api.relayed import Site, Start
from tests.api.workbench import Workbench
from tests.rig.memory import RunningClock
from tests.rig.waiting import eventually

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BINARY, CLOSE = aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.CLOSE


class Peer:
    """A server that wants a client certificate, by Python's own TLS, and counts what it has met."""

    def __init__(self, site: Site, before: bytes = b"", answer: bytes = b"") -> None:
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(site.server.certificate, site.server.key)
        self.tls.load_verify_locations(site.clients)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.before, self.answer = before, answer
        self.met: list[object] = []
        self.heard: list[bytes] = []
        self.left = 0
        self._talking: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Give the port."""
        tls = None if self.before else self.tls
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls) as server:
            yield server.sockets[0].getsockname()[1]
            for task in self._talking:
                task.cancel()
            await asyncio.gather(*self._talking, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        try:
            if self.before:
                await self._begin_without(reader, writer)
            self.met.append(writer.get_extra_info("peercert"))
            while data := await reader.read(65536):
                if data == b"bye":
                    break
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left += 1
            writer.close()

    async def _begin_without(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """STARTTLS of SMTP or IMAP, as far as a client needs it."""
        writer.write(self.before)
        while b"STARTTLS" not in (line := await reader.readuntil(b"\n")):
            self.heard.append(line)
            writer.write(b"250-localhost\r\n250 STARTTLS\r\n")
        writer.write(self.answer)
        await writer.start_tls(self.tls)


class Tunnelled:
    """A session that has the tunnel ``mail`` to a server."""

    def __init__(self, api: Workbench, path: str, token: str) -> None:
        self.api, self.path, self.token = api, path, token

    def tunnel(self, name: str = "mail") -> aiohttp.client._WSRequestContextManager:
        """The WebSocket."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.api.http().ws_connect(f"{self.api.base()}{self.path}/tunnels/{name}", headers=headers)

    async def end(self) -> tuple[object, object]:
        """How a tunnel ends that nobody uses: the close's code and reason."""
        async with self.tunnel() as socket:
            message = await socket.receive(20)
            assert message.type is CLOSE
            return message.data, message.extra


@asynccontextmanager
async def tunnelled(
    site: Site, started: Start, directory: Path, peer: Peer, **settings: object
) -> AsyncIterator[Tunnelled]:
    async with peer.listening() as port:
        made = Upstream(name="mail", kind="tls", url=f"tls://localhost:{port}", authorities=site.authority.certificate)
        upstreams = {
            "mail": replace(made, **settings),
            "dmp": Upstream(name="dmp", url=f"https://localhost:{port}"),
        }
        api = await started(Workbench(directory, Config(upstreams=upstreams), clock=RunningClock()))
        yield Tunnelled(api, *await api.logged_in())


@pytest_asyncio.fixture
async def peer(site: Site) -> Peer:
    return Peer(site)


@pytest_asyncio.fixture
async def mail(site: Site, started: Start, tmp_path: Path, peer: Peer) -> AsyncIterator[Tunnelled]:
    async with tunnelled(site, started, tmp_path, peer) as mail:
        yield mail


async def heard(socket: aiohttp.ClientWebSocketResponse[bool], size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += (await socket.receive(timeout=20)).data
    return got


async def test_five_tunnels_cost_one_signature_one_consent_and_one_row(mail: Tunnelled, peer: Peer) -> None:
    content = bytes(range(256)) * 8000
    for _ in range(5):
        async with mail.tunnel() as socket:
            sending = asyncio.gather(
                *(socket.send_bytes(content[at : at + 64000]) for at in range(0, len(content), 64000))
            )
            assert await heard(socket, len(content)) == content
            await sending
    assert len(peer.met) == 5
    rows = [entry for entry in mail.api.audit.entries if entry.action == "tls.handshake"]
    assert [(row.outcome.value, row.document, row.consent) for row in rows] == [("done", "mail localhost", "dialog")]
    assert mail.api.person.topics().count("relay") == 1


async def test_the_server_s_goodbye_reaches_the_program_and_the_program_s_the_server(
    mail: Tunnelled, peer: Peer
) -> None:
    async with mail.tunnel() as socket:
        await socket.send_bytes(b"bye")
        message = await socket.receive(20)
        assert (message.type, message.data) == (CLOSE, 1000)
    async with mail.tunnel() as socket:
        await socket.send_bytes(b"x")
        assert await heard(socket, 1) == b"x"
    await eventually(lambda: peer.left == 2)


@pytest.mark.parametrize("how", ["locked", "closed"])
async def test_a_lock_and_the_session_s_end_end_the_tunnel_at_once(mail: Tunnelled, peer: Peer, how: str) -> None:
    async with mail.tunnel() as socket:
        await socket.send_bytes(b"x")
        assert await heard(socket, 1) == b"x"
        if how == "locked":
            await mail.api.call("POST", f"{mail.path}/lock", {}, bearer=mail.token)
        else:
            await mail.api.call("DELETE", mail.path, bearer=mail.token)
        message = await socket.receive(20)
        assert (message.type, message.data) == (CLOSE, 4000)
        assert message.extra in (("session.locked", "upstream.closed") if how == "locked" else ("session.closed",))
    await eventually(lambda: peer.left == 1)


async def test_without_consent_the_server_meets_nobody(mail: Tunnelled, peer: Peer) -> None:
    mail.api.person.choices.append(Choice.NO)
    assert await mail.end() == (4000, "consent.refused")
    assert peer.met == []


async def test_where_revocation_must_be_known_and_is_not_nothing_is_carried(
    site: Site, started: Start, tmp_path: Path, peer: Peer
) -> None:
    async with tunnelled(site, started, tmp_path, peer, revocation="require") as mail:
        assert await mail.end() == (4000, "upstream.revocation_unknown")


async def test_each_server_is_reached_in_its_own_way_only(mail: Tunnelled) -> None:
    got = await mail.api.call("GET", f"{mail.path}/upstreams", bearer=mail.token)
    assert got.json == {"upstreams": ["dmp"], "tunnels": ["mail"]}
    relayed = await mail.api.call("GET", f"{mail.path}/upstreams/mail/", bearer=mail.token)
    assert (relayed.status, relayed.code) == (409, "upstream.kind")
    tunnelled = await mail.api.call("GET", f"{mail.path}/tunnels/dmp", bearer=mail.token)
    assert (tunnelled.status, tunnelled.code) == (409, "upstream.kind")
    unknown = await mail.api.call("GET", f"{mail.path}/tunnels/autre", bearer=mail.token)
    assert (unknown.status, unknown.code) == (404, "upstream.unknown")
    plain = await mail.api.call("GET", f"{mail.path}/tunnels/mail", bearer=mail.token)
    assert (plain.status, plain.code) == (422, "request.invalid")


async def test_smtp_is_asked_for_tls_and_the_program_is_greeted_anew(
    site: Site, started: Start, tmp_path: Path
) -> None:
    peer = Peer(site, b"220-localhost\r\n220 forged greeting\r\n", b"220 go on\r\n")
    async with tunnelled(site, started, tmp_path, peer, starttls="smtp") as mail, mail.tunnel() as socket:
        assert await socket.receive_bytes(timeout=20) == b"220 localhost ESMTP by cardd\r\n"
        await socket.send_bytes(b"EHLO localhost\r\n")
        assert await heard(socket, 16) == b"EHLO localhost\r\n"
    assert peer.heard == [b"EHLO [127.0.0.1]\r\n"]
    assert peer.met[0]


@pytest.mark.parametrize(
    "said",
    [
        ("smtp", b"220 localhost\r\n", b"220 go on\r\n250 slipped in before TLS\r\n"),
        ("smtp", b"220 localhost\r\n", b"454 no TLS today\r\n"),
        ("smtp", b"554 no service\r\n", b""),
        ("imap", b"* PREAUTH you are known\r\n", b""),
        ("imap", b"* OK localhost\r\n", b"a OK go on\r\n* OK slipped in\r\n"),
        ("imap", b"* OK localhost\r\n", b"a NO not here\r\n"),
        ("imap", b"x" * 20_000, b""),
    ],
)
async def test_no_word_goes_on_without_tls_nor_comes_from_before_it(
    site: Site, started: Start, tmp_path: Path, said: tuple[str, bytes, bytes]
) -> None:
    protocol, before, answer = said
    peer = Peer(site, before, answer)
    async with tunnelled(site, started, tmp_path, peer, starttls=protocol) as mail:
        assert await mail.end() == (4000, "upstream.tls")
    assert peer.met == []
