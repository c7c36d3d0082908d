"""Requests to a server that is anything but a provider: how much is read, how long is waited, and who is told what."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from cardd.errors import PscCertificate, PscGarbled, PscUnavailable
from cardd.http import Limits
from cardd.oidc.http import Http, Patience
from cardd.oidc.tokens import parse
from tests.oidc.services import trusting
from tests.rig.oidc.faults import server_tls
from tests.rig.oidc.pki import Authority

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(
    answer: Answering, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Yield the server's address, and the head of each request that came; ``answer`` has the connection to itself."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            came.append(await reader.readuntil(b"\r\n\r\n"))
            await answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://{host}:{listening.sockets[0].getsockname()[1]}/", came
    finally:
        listening.close()


def saying(head: str, body: bytes = b"") -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


async def nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


@pytest.mark.parametrize("answer", [nothing, drop_by_drop])
async def test_a_server_that_takes_its_time_is_not_waited_for(answer: Answering) -> None:
    http = Http(patience=Patience(answer=0.3))
    async with server(answer) as (address, came), asyncio.timeout(5):
        with pytest.raises(PscUnavailable):
            await http.post(address, {"secret": "x"})
    await http.close()
    assert len(came) == 1


async def test_an_answer_without_end_is_broken_off() -> None:
    http = Http()
    async with server(without_end) as (address, _), asyncio.timeout(5):
        with pytest.raises(PscUnavailable):
            await http.post(address, {})
    await http.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_followed_to_another_place(status: int) -> None:
    http = Http()
    async with server(saying("200 OK")) as (elsewhere, came):
        async with server(saying(f"{status} Moved\r\nLocation: {elsewhere}")) as (address, _):
            assert (await http.post(address, {"secret": "x"}, {"Authorization": "Basic x"})).status == status
            assert (await http.get(address, {"Authorization": "Bearer x"})).status == status
        assert came == []
    await http.close()


async def test_what_is_packed_is_not_unpacked() -> None:
    http, packed = Http(), gzip.compress(b" " * 100 * Limits().size)
    async with server(saying("200 OK\r\nContent-Encoding: gzip", packed)) as (address, came):
        answer = await http.get(address)
    await http.close()
    assert answer.body == packed
    with pytest.raises(PscGarbled):
        parse(answer.body, "answer")
    assert b"Accept-Encoding: identity" in came[0]


async def test_cookies_are_not_given_back() -> None:
    http = Http()
    async with server(saying("200 OK\r\nSet-Cookie: known=1; Path=/")) as (address, came):
        assert (await http.get(address)).cookies == {"known": "1"}
        await http.get(address)
    await http.close()
    assert b"known" not in came[1]


@pytest.mark.parametrize(("host", "is_told"), [("127.0.0.1", True), ("127.0.0.2", False)])
async def test_a_certificate_of_a_trusted_authority_counts_for_its_own_names_only(host: str, is_told: bool) -> None:
    authority = Authority()
    http = Http(trusting(authority))
    async with server(saying("200 OK"), host=host, tls=server_tls(authority.issue("localhost"))) as (address, came):
        if is_told:
            assert (await http.post(address, {"secret": "x"})).status == 200
        else:
            with pytest.raises(PscCertificate):
                await http.post(address, {"secret": "x"})
    await http.close()
    assert len(came) == is_told
