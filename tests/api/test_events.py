"""Events as they happen, as server-sent events and over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from cardd.api.parts import ApiLimits
from cardd.config import Config, Upstream
from cardd.model import Event
from tests.api.requests import UPGRADE, request, status_of
from tests.api.workbench import DEVELOPMENT_PAGE, PAGE, PAGE_WITH_PORT, Json, Via, Workbench
from tests.rig.waiting import eventually

Next = Callable[[], Awaitable[tuple[str, Json]]]


@asynccontextmanager
async def stream(api: Workbench, *, via: Via = "unix", **headers: str) -> AsyncIterator[Next]:
    """Server-sent events; the numbers must follow each other."""
    if "Origin" in headers and "Authorization" not in headers:
        headers = await api.page(headers["Origin"], via)
    async with api.http(via).get(api.base(via) + "/v1/events", headers=headers) as answer:
        assert answer.status == 200, await answer.read()
        assert answer.headers["Content-Type"] == "text/event-stream"
        number = 0

        async def next_event() -> tuple[str, Json]:
            nonlocal number
            lines = [(await answer.content.readline()).decode().rstrip("\n") for _ in range(4)]
            fields = dict(line.split(": ", 1) for line in lines[:3])
            assert fields["id"] == str(number)
            number += 1
            return fields["event"], cast(Json, json.loads(fields["data"]))

        yield next_event


async def hears_nothing(told: Next) -> bool:
    """Whether no event comes for a moment."""
    try:
        async with asyncio.timeout(0.3):
            await told()
    except TimeoutError:
        return True
    return False


async def test_pages_that_listen_without_end_keep_nobody_out(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(connections=8, in_flight=4, streams=6, streams_each=3)))
    async with AsyncExitStack() as listening, aiohttp.ClientSession() as others:
        for origin, heard in ((PAGE, 3), (PAGE_WITH_PORT, 3), (DEVELOPMENT_PAGE, 0)):
            for _ in range(heard):
                assert (await (await listening.enter_async_context(stream(api, via="v4", Origin=origin)))())[
                    0
                ] == "hello"
            for path in ("/v1/events/tickets", "/v1/events"):
                method = "POST" if path.endswith("s/tickets") else "GET"
                got = await api.call(method, path, {} if method == "POST" else None, headers={"Origin": origin})
                assert (got.status, got.code, got.json["retryable"]) == (429, "request.too_many", True)
        async with others.get(f"{api.base()}/v1/status") as told:
            assert told.status == 200


async def ticketed(api: Workbench, origin: str = PAGE) -> str:
    """Where a page finds its events without a header of its own."""
    got = await api.call("POST", "/v1/events/tickets", {}, headers={"Origin": origin})
    return f"/v1/events?ticket={got.text('ticket')}"


@asynccontextmanager
async def websocket(api: Workbench, origin: str = PAGE) -> AsyncIterator[Next]:
    """Yield the events that come over a page's WebSocket."""
    address = await ticketed(api, origin)
    async with api.http().ws_connect(api.base() + address, headers={"Origin": origin}) as socket:

        async def next_event() -> tuple[str, Json]:
            message = cast(Json, await socket.receive_json(timeout=5))
            return cast(str, message["type"]), cast(Json, message["data"])

        yield next_event


@pytest.fixture(params=["stream", "websocket"])
async def listening(request: pytest.FixtureRequest, api: Workbench) -> AsyncIterator[Next]:
    """A page that listens, one way or the other, past its hello."""
    opened = stream(api, via="v4", Origin=PAGE) if request.param == "stream" else websocket(api)
    async with opened as next_event:
        assert (await next_event())[0] == "hello"
        yield next_event


async def test_the_first_event_tells_how_things_are(api: Workbench) -> None:
    card = api.readers.cards()[0]
    async with stream(api) as one, websocket(api) as two:
        for next_event in (one, two):
            kind, data = await next_event()
            assert kind == "hello"
            assert data == {
                "available": True,
                "readers": [{"name": "Lecteur A", "card": card.id}, {"name": "Lecteur B", "card": None}],
                "cards": [{"id": card.id, "reader": "Lecteur A", "kind": "cps3", "atr": card.atr.hex().upper()}],
            }


async def test_a_card_that_leaves_and_comes_is_told(api: Workbench, listening: Next) -> None:
    card = api.readers.cards()[0].id
    api.reader.remove()
    assert await listening() == ("card.removed", {"card": card, "reader": "Lecteur A"})
    api.reader.insert(api.card)
    kind, data = await listening()
    assert (kind, data["reader"], data["kind"]) == ("card.inserted", "Lecteur A", "cps3")
    assert data["card"] != card


async def test_what_concerns_one_caller_reaches_nobody_else(api: Workbench, listening: Next) -> None:
    path, token = await api.logged_in()
    await api.call("DELETE", path, bearer=token)
    api.events.publish(Event("reader.added", {"reader": "Lecteur C"}))
    assert (await listening())[0] == "reader.added"


async def test_a_page_hears_of_its_own_dialogs_and_sessions(api: Workbench, listening: Next) -> None:
    page = {"Origin": PAGE}
    got = await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=page)
    await api.call("DELETE", got.headers["Location"], bearer=got.text("token"), headers=page)
    assert [await listening() for _ in range(4)] == [
        ("prompt.opened", {"topic": "login", "timeout": 120}),
        ("prompt.closed", {"topic": "login"}),
        ("session.opened", {"session": got.json["id"]}),
        ("session.closed", {"session": got.json["id"], "reason": "logout"}),
    ]


async def test_listeners_that_leave_are_forgotten_at_once(api: Workbench) -> None:
    bus = api.events
    async with stream(api) as one, websocket(api) as two:
        await one()
        await two()
        assert bus.listeners == 2
    api.forget_connections()
    await eventually(lambda: not bus.listeners)


@pytest.mark.parametrize("more", [(), UPGRADE], ids=["stream", "websocket"])
async def test_a_listener_that_takes_nothing_is_dropped_and_the_others_go_on(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, more: tuple[str, ...]
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(write_timeout=0.1)))
    _, slow = await asyncio.open_connection("127.0.0.1", api.port, limit=1)
    slow.write(request(await ticketed(api), f"Host: localhost:{api.port}", f"Origin: {PAGE}", *more))
    async with stream(api) as next_event:
        await next_event()
        await eventually(lambda: api.events.listeners == 2)
        filler = "x" * 400_000
        for number in range(40):
            api.events.publish(Event("filler", {"number": number, "text": filler}))
            assert (await next_event())[1]["number"] == number
        await eventually(lambda: api.events.listeners == 1)
        api.events.publish(Event("last"))
        assert await next_event() == ("last", {})
    slow.close()


async def test_the_stream_ends_when_the_daemon_stops(tmp_path: Path) -> None:
    api = Workbench(tmp_path)
    await api.start()
    async with api.http("unix").get(api.base("unix") + "/v1/events") as answer:
        await answer.content.readline()
        await api.lifecycle.stop()
        await answer.content.read()
        assert answer.content.at_eof()
    await api.stop()


async def test_a_daemon_that_stops_waits_long_for_no_websockets_goodbye(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = Workbench(tmp_path)
    await api.start()
    async with websocket(api) as next_event:
        assert (await next_event())[0] == "hello"
        await api.lifecycle.stop()  # while this end says nothing: nobody reads here
    assert "is abandoned" not in caplog.text  # as what takes its share of the time there is
    await api.stop()


async def test_a_websocket_that_speaks_is_let_go(api: Workbench) -> None:
    async with api.http().ws_connect(api.base() + await ticketed(api), headers={"Origin": PAGE}) as socket:
        await socket.receive()
        await socket.send_str("bonjour")
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


async def test_a_websocket_wants_a_client_a_handshake_and_no_subprotocol(api: Workbench) -> None:
    host = f"Host: localhost:{api.port}"
    cases = [
        (401, UPGRADE),
        (401, (f"Origin: {PAGE}", *UPGRADE)),
        (422, (f"Origin: {PAGE}", "Connection: Upgrade", "Upgrade: websocket")),
        (422, (f"Origin: {PAGE}", "Connection: Upgrade", "Upgrade: h2c")),
        (422, (f"Origin: {PAGE}", *UPGRADE[:2], "Sec-WebSocket-Version: 99", UPGRADE[3])),
        (422, (f"Origin: {PAGE}", *UPGRADE, "Sec-WebSocket-Protocol: secret")),
    ]
    for status, headers in cases:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        page = f"Origin: {PAGE}"
        target = await ticketed(api) if page in headers and status == 422 else "/v1/events"
        writer.write(request(target, host, *headers))
        assert status_of(await reader.readuntil(b"\r\n\r\n")) == status
        writer.close()


@pytest.mark.parametrize("path", ["/v1/events", "{session}/tunnels/mail"])
async def test_a_handshake_of_any_bytes_is_refused_and_nothing_of_it_is_logged(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    mail = Upstream(name="mail", url="tls://mail.example:993", kind="tls")
    api = await started(Workbench(tmp_path, config=Config(upstreams={"mail": mail})))
    secret = await api.pair()
    session, token = await api.login(secret)
    bearer = f"Authorization: Bearer {token if 'session' in path else secret}"
    head = f"GET {path.format(session=session)} HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n".encode()
    for more in (
        b"Connection: Upgrade\x8d\r\nUpgrade: websocket\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\xff\r\n",
        b"\r\n".join((*map(str.encode, UPGRADE[:3]), b"Sec-WebSocket-Key: AAAAAAAAAAA\xd0AAAAAAAAAA==", b"")),
        "\r\n".join((*UPGRADE, "Sec-WebSocket-Protocol: s3cret", "")).encode(),
    ):
        reader, writer = await asyncio.open_unix_connection(api.path)
        writer.write(head + more + b"\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert status_of(answer) == 422
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_without_reader_service_hello_says_so(api: Workbench) -> None:
    for name in ("Lecteur A", "Lecteur B"):
        api.readers.reader_removed(name)
    api.readers.readers_available(False)
    async with stream(api) as next_event:
        assert await next_event() == ("hello", {"available": False, "readers": [], "cards": []})
