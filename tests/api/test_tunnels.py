"""Raw connections to configured servers, with the card's certificate: any protocol, under the session's rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from msgspec.structs import replace

from cardd.client import CarddClient
from cardd.config import Config, Upstream
from cardd.errors import ConsentRefused, SessionClosed, UpstreamUnknown
from cardd.model import Choice
from tests.api.relayed import Peer, Site, Start
from tests.api.workbench import Workbench
from tests.rig.memory import RunningClock
from tests.rig.waiting import eventually

BINARY, CLOSE, TEXT = aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.TEXT


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
            return await closed(socket)


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


async def closed(socket: aiohttp.ClientWebSocketResponse[bool]) -> tuple[object, object]:
    """The close's code and reason, once the problem that goes before said the same."""
    told = None
    if (message := await socket.receive(20)).type is TEXT:
        told = message.json()["code"]
        message = await socket.receive(20)
    assert (message.type, message.extra or None) == (CLOSE, told)
    return message.data, message.extra


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


@pytest.mark.parametrize("how", ["locked", "closed", "pulled"])
async def test_a_lock_the_session_s_end_and_a_pulled_card_end_the_tunnel_at_once(
    mail: Tunnelled, peer: Peer, how: str
) -> None:
    async with mail.tunnel() as socket:
        await socket.send_bytes(b"x")
        assert await heard(socket, 1) == b"x"
        if how == "locked":
            await mail.api.call("POST", f"{mail.path}/lock", {}, bearer=mail.token)
        elif how == "pulled":
            mail.api.reader.remove()
        else:
            await mail.api.call("DELETE", mail.path, bearer=mail.token)
        code, reason = await closed(socket)
        assert code == 4000
        assert reason in (("session.locked", "upstream.closed") if how == "locked" else ("session.closed",))
    await eventually(lambda: peer.left == 1)


async def test_what_a_program_says_keeps_the_session_and_what_the_server_says_does_not(mail: Tunnelled) -> None:
    nearly = mail.api.sessions.rules.idle - 30
    async with mail.tunnel() as socket:
        for _ in range(2):
            mail.api.clock.seconds += nearly
            await socket.send_bytes(b"x")
            assert await heard(socket, 1) == b"x"
        mail.api.clock.seconds += nearly
        assert (await mail.api.call("GET", mail.path, bearer=mail.token)).status == 200
        mail.api.clock.seconds += 60
        assert (await mail.api.call("GET", mail.path, bearer=mail.token)).code == "session.expired"
        assert await closed(socket) == (4000, "session.expired")


async def test_the_client_library_tells_why_there_is_no_tunnel_before_and_after_the_upgrade(mail: Tunnelled) -> None:
    async with CarddClient(mail.api.base(), language="en") as client:
        session = client.session(mail.path.rpartition("/")[2], mail.token)
        with pytest.raises(UpstreamUnknown):
            async with session.tunnel("autre"):
                pass
        mail.api.person.choices.append(Choice.NO)
        async with session.tunnel("mail") as tunnel:
            with pytest.raises(ConsentRefused) as refused:
                await tunnel.read()
        assert refused.value.told("en").detail
        async with session.tunnel("mail") as tunnel:
            await tunnel.write(b"x")
            assert await tunnel.read() == b"x"
            await session.close()
            with pytest.raises(SessionClosed) as ended:
                await tunnel.read()
        assert ended.value.params["reason"] == "logout"
        with pytest.raises(SessionClosed):
            async with session.tunnel("mail"):
                pass


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
