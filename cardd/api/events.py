"""GET /v1/events: what happens, as it happens, as server-sent events or over a WebSocket.

The first event, ``hello``, has the readers and cards as they are; whoever reconnects starts from there.

Source: RFC 6455.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web
from msgspec import to_builtins
from msgspec.json import encode

from cardd.api import cards, readers
from cardd.api.call import Call
from cardd.api.schemas.workstation import Hello, Told
from cardd.api.streaming import deliver, server_sent
from cardd.core.events import Subscription
from cardd.errors import InvalidRequest, PcscUnavailable
from cardd.model import Event

MESSAGE_MAX = 1024


async def listen(call: Call) -> web.StreamResponse:
    """Stay on the line and tell, until either side leaves."""
    upgrade = call.http.headers.get("Upgrade")
    if upgrade is None:
        return await server_sent(call, lambda: _subscribe(call))
    if upgrade.strip().lower() != "websocket":
        raise InvalidRequest(where="Upgrade", why="expected", expected="websocket")
    return await _websocket(call)


async def _websocket(call: Call) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_MAX, timeout=1.0)
    # aiohttp writes subprotocols that it does not know to its log: a client's secret might be one
    if not socket.can_prepare(call.http) or "Sec-WebSocket-Protocol" in call.http.headers:
        raise InvalidRequest(where="Upgrade", why="handshake")
    socket.headers.update(call.headers)
    await socket.prepare(call.http)

    async def send(_number: int, event: Event) -> None:
        await socket.send_str(encode(Told(event.type, event.data)).decode())

    telling = asyncio.ensure_future(deliver(call, _subscribe(call), send))
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


def _subscribe(call: Call) -> Subscription:
    subscription = call.services.events.subscribe(call.caller.id)
    subscription.offer(_hello(call))
    return subscription


def _hello(call: Call) -> Event:
    """The state of things, taken without a pause after subscribing: nothing is missed, nothing told twice."""
    try:
        hello = Hello(True, readers.described(call), cards.described(call))
    except PcscUnavailable:
        hello = Hello(False, [], [])
    return Event("hello", to_builtins(hello))
