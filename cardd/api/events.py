"""GET /v1/events: what happens, as it happens, as server-sent events or over a WebSocket.

The first event, ``hello``, has the readers and cards as they are; whoever reconnects starts from there. A listener
that does not take its events is dropped; nothing is sent to keep a connection alive.

Source: HTML standard, server-sent events; RFC 6455.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web
from msgspec import to_builtins
from msgspec.json import encode

from cardd.api import cards, readers
from cardd.api.call import Call
from cardd.api.schemas import Hello, Told
from cardd.core.events import Subscription
from cardd.errors import InvalidRequest, PcscUnavailable
from cardd.model import Event

MESSAGE_MAX = 1024

Send = Callable[[int, Told], Awaitable[None]]


async def listen(call: Call) -> web.StreamResponse:
    """Stay on the line and tell, until either side leaves."""
    upgrade = call.http.headers.get("Upgrade")
    if upgrade is None:
        return await _stream(call)
    if upgrade.strip().lower() != "websocket":
        raise InvalidRequest(where="Upgrade", why="expected", expected="websocket")
    return await _websocket(call)


async def _stream(call: Call) -> web.StreamResponse:
    response = web.StreamResponse(headers={**call.headers, "Content-Type": "text/event-stream"})
    await response.prepare(call.http)

    async def send(number: int, told: Told) -> None:
        data = encode(told.data)
        await response.write(b"id: %d\nevent: %s\ndata: %s\n\n" % (number, told.type.encode(), data))

    with contextlib.suppress(ConnectionError):
        await _tell(call, send)
    response.force_close()
    return response


async def _websocket(call: Call) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_MAX, timeout=1.0)
    # aiohttp writes subprotocols that it does not know to its log: a client's secret might be one
    if not socket.can_prepare(call.http) or "Sec-WebSocket-Protocol" in call.http.headers:
        raise InvalidRequest(where="Upgrade", why="handshake")
    socket.headers.update(call.headers)
    await socket.prepare(call.http)

    async def send(_number: int, told: Told) -> None:
        await socket.send_str(encode(told).decode())

    telling = asyncio.ensure_future(_tell(call, send))
    hearing = asyncio.ensure_future(_hear(socket))
    try:
        await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        telling.cancel()
        hearing.cancel()
        await asyncio.gather(telling, hearing, return_exceptions=True)
    await socket.close()
    return socket


async def _hear(socket: web.WebSocketResponse) -> None:
    """Return when the listener leaves; it has nothing to say, and is let go when it does."""
    message = await socket.receive()
    if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
        await socket.close(code=1003)


async def _tell(call: Call, send: Send) -> None:
    subscription = call.services.events.subscribe(call.caller.id)
    call.on_hang_up(subscription.end)
    try:
        await _deliver(call, subscription, send)
    finally:
        subscription.end()


async def _deliver(call: Call, subscription: Subscription, send: Send) -> None:
    event: Event | None = _hello(call)
    number = 0
    while event is not None:
        try:
            async with asyncio.timeout(call.limits.write_timeout):
                await send(number, Told(event.type, event.data))
        except TimeoutError:
            if call.http.transport:
                call.http.transport.abort()
            return
        event = await subscription.next()
        number += 1


def _hello(call: Call) -> Event:
    """The state of things, taken without a pause after subscribing: nothing is missed, nothing told twice."""
    try:
        hello = Hello(True, readers.described(call), cards.described(call))
    except PcscUnavailable:
        hello = Hello(False, [], [])
    return Event("hello", to_builtins(hello))
