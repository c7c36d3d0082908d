"""The site on loopback against whoever on the machine connects to it: limits, and not a word too many."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from yarl import URL

from cardd.errors import PscTokenMalformed
from cardd.model import Peer
from cardd.oidc.loopback import LoopbackSite, OnLogout, SiteLimits
from tests.oidc.services import listening
from tests.rig.other_user import needs_root, run

FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture
def limits() -> SiteLimits:
    return SiteLimits()


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture, limits: SiteLimits) -> AsyncIterator[LoopbackSite]:
    """One that takes no logout token but ``right``; nothing that is done to it reaches the log."""

    async def heed(raw: str) -> None:
        if raw != "right":
            raise PscTokenMalformed(token="logout_token")

    with caplog.at_level(logging.INFO):
        async with listening(limits=limits, on_logout=OnLogout(lambda _: None, heed)) as made:
            yield made
    assert caplog.get_records("call") == []  # those of the test itself


def port_of(site: LoopbackSite) -> int:
    port = URL(site.uri).port
    assert port
    return port


@asynccontextmanager
async def connected(site: LoopbackSite) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(site))
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()


async def status_of(site: LoopbackSite, head: str, body: bytes = b"") -> int:
    """What a request that is sent as it stands is answered with; it closes the connection."""
    lines = f"{head}\r\nHost: 127.0.0.1:{port_of(site)}\r\nConnection: close\r\n\r\n"
    async with connected(site) as (reader, writer):
        writer.write(lines.encode("latin-1") + body)
        return int((await reader.read()).split(b" ", 2)[1])


async def post(site: LoopbackSite, body: bytes, *headers: str) -> int:
    return await status_of(site, "\r\n".join(["POST /backchannel-logout HTTP/1.1", *headers]), body)


async def test_a_logout_token_is_taken_from_a_form(site: LoopbackSite) -> None:
    assert await post(site, b"logout_token=right", FORM, "Content-Length: 18") == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"logout_token=wrong", [FORM, "Content-Length: 18"]),
        (b"", [FORM, "Content-Length: 0"]),
        (b"logout_token=%C3%A9%80", [FORM, "Content-Length: 22"]),
        (b"logout_token=\xff\xfe", [FORM, "Content-Length: 15"]),
        (b"logout_token=right", ["Content-Type: text/plain", "Content-Length: 18"]),
        (b"logout_token=wrong", [FORM + "; charset=no-such", "Content-Length: 18"]),
        (b"logout_token=right", [FORM]),
        (b"not gzip", [FORM, "Content-Encoding: gzip", "Content-Length: 8"]),
        (b"a=1&" * 100 + b"logout_token=right", [FORM, "Content-Length: 418"]),
        (b"", [FORM, "Content-Length: 1000000"]),
        (b"12\r\nlogout_token=right\r\n0\r\n\r\n", [FORM, "Transfer-Encoding: chunked"]),
    ],
    ids=str,
)
async def test_whatever_else_is_posted_there_is_a_bad_request(
    site: LoopbackSite, body: bytes, headers: list[str]
) -> None:
    assert await post(site, body, *headers) == 400


@pytest.mark.parametrize("limits", [SiteLimits(form=0.1)])
async def test_a_form_that_does_not_come_is_not_waited_for(site: LoopbackSite) -> None:
    assert await post(site, b"logout_token=", FORM, "Content-Length: 18") == 400


async def test_who_leaves_in_the_middle_of_a_form_is_no_fault(site: LoopbackSite) -> None:
    async with connected(site) as (_, writer):
        writer.write(f"POST /backchannel-logout HTTP/1.1\r\nHost: 127.0.0.1:{port_of(site)}\r\n{FORM}\r\n".encode())
        writer.write(b"Content-Length: 18\r\n\r\nlogout")
        await writer.drain()
    assert await status_of(site, "GET / HTTP/1.1") == 404


@pytest.mark.parametrize(
    "head",
    [
        "GET /callback?\xc3code=a HTTP/1.1",
        "GET /callback?code=a HTT\0P/1.1",
        "GET /callback?code=a HTTP/1.1\r\nHost: a",
    ],
    ids=["a character that none has", "another protocol", "two hosts"],
)
async def test_what_is_no_http_is_refused_without_a_word(site: LoopbackSite, head: str) -> None:
    assert await status_of(site, head) == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_a_logout_token_comes_by_post_only(site: LoopbackSite, method: str) -> None:
    assert await status_of(site, f"{method} /backchannel-logout?logout_token=right HTTP/1.1") == 404


@pytest.mark.parametrize("query", ["", "?iss=x", "?iss=x&sid=y", "?sid=%FF"])
async def test_the_logout_page_tells_nobody_whether_somebody_is_logged_in(site: LoopbackSite, query: str) -> None:
    assert await status_of(site, f"GET /logout{query} HTTP/1.1") == 200


@pytest.mark.parametrize("head", ["", "GET /callback HTTP/1.1\r\nX: y"])
async def test_who_connects_and_says_nothing_is_hung_up_on(head: str) -> None:
    async with listening(limits=SiteLimits(idle=0.2)) as site, connected(site) as (reader, writer):
        writer.write(head.encode())
        assert await reader.read() == b""


@dataclass
class Users:
    """Whose browser comes, as the test says."""

    uid: int | None = 1000

    def peer_of(self, _sock: socket.socket) -> Peer | None:
        return None if self.uid is None else Peer(self.uid)


async def test_who_fills_the_port_with_silence_takes_room_from_themselves_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    users, limits = Users(uid=1000), SiteLimits(connections=8)
    async with listening(peer_of=users.peer_of, limits=limits) as site, AsyncExitStack() as held:
        _, first = await held.enter_async_context(connected(site))
        users.uid = 65534
        silent = [(await held.enter_async_context(connected(site)))[0] for _ in range(40)]
        users.uid = 1000
        assert await status_of(site, "GET /elsewhere HTTP/1.1") == 404
        with suppress(ConnectionResetError):
            assert await silent[0].read() == b""
        first.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port_of(site)}\r\n\r\n".encode())
        await first.drain()
    assert caplog.records == []


@pytest.mark.parametrize("limits", [SiteLimits(connections=4)])
async def test_silent_connections_of_nobody_known_or_of_the_same_user_keep_no_browser_out(site: LoopbackSite) -> None:
    async with AsyncExitStack() as held:
        for _ in range(100):
            await held.enter_async_context(connected(site))
        assert await status_of(site, "GET /elsewhere HTTP/1.1") == 404


@needs_root
async def test_an_answer_that_another_user_of_the_machine_brings_is_none(site: LoopbackSite) -> None:
    expected = site.expect("state", os.getuid(), "https://psc.example/")
    code = "found.request('GET', '/callback?state=state&code=x'); print(found.getresponse().status)"
    connecting = f"found = http.client.HTTPConnection('127.0.0.1', {port_of(site)}); {code}"
    assert (await asyncio.to_thread(run, connecting, imports="import encodings.idna, http.client")).strip() == "400"
    assert not expected.answer.done()
    assert await status_of(site, "GET /callback?state=state&code=x HTTP/1.1") == 200
    assert (await expected.answer)["code"] == "x"
