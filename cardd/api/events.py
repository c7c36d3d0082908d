"""GET /v1/events: events as they happen, as server-sent events or over a WebSocket.

The first event, ``hello``, has the readers and cards as they are; a caller that connects again starts from there. A
listener that does not take its events is dropped; nothing is sent to keep a connection alive.

Source: RFC 6455; HTML standard, server-sent events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web
from msgspec import to_builtins
from msgspec.json import encode

from cardd.api.call import Call, websocket
from cardd.api.cards import card_answers, reader_answers
from cardd.api.schemas.workstation import Hello, Told
from cardd.core.events import Subscription
from cardd.errors import PcscUnavailable, ReaderNotYours, TooManyRequests
from cardd.model import Event
from cardd.request import current

MESSAGE_MAX = 1024
RETRY_AFTER = 10
OF_CERTIFICATES = "certificate.expiring"  # names one: by it the organisation can be found
GOODBYE = 0.2  # seconds for a listener's own; when the server stops, nothing is read any more

Send = Callable[[int, Event], Awaitable[None]]


async def listen(call: Call) -> web.StreamResponse:
    """Send events until either side leaves. Raises TooManyRequests."""
    ensure_room(call)
    if "Upgrade" not in call.http.headers:
        return await server_sent(call, lambda: _subscribe(call))
    return await _websocket(call)


def ensure_room(call: Call) -> None:
    """Raises TooManyRequests where pages have so many streams that others would be kept out."""
    streams = call.parts.events.streams_of_pages(call.peer.uid) if call.caller.page_key else []
    if len(streams) >= call.limits.streams or streams.count(call.caller.key) >= call.limits.streams_each:
        raise TooManyRequests(retry_after=RETRY_AFTER)


async def _websocket(call: Call) -> web.StreamResponse:
    socket = await websocket(call, MESSAGE_MAX, GOODBYE)

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
    """Return when the listener leaves; a listener that says anything is let go."""
    message = await socket.receive()
    if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
        await socket.close(code=1003)


def _subscribe(call: Call) -> Subscription:
    public = call.parts.readers.of(call.caller).is_owner  # what is told to nobody by name is about the readers
    is_status_page = call.page is not None and call.page.is_own
    subscription = call.parts.events.subscribe(call.caller.key, public=public, whole_user=is_status_page)
    subscription.offer(_hello(call))
    return subscription


def _hello(call: Call) -> Event:
    """Return the present state, taken without a pause after subscribing: nothing is missed, nothing told twice."""
    try:
        hello = Hello(True, reader_answers(call), card_answers(call))
    except PcscUnavailable:
        hello = Hello(False, [], [])
    except ReaderNotYours:
        hello = Hello(True, [], [])
    return Event("hello", to_builtins(hello), to=call.caller.key)


async def server_sent(call: Call, subscribe: Callable[[], Subscription]) -> web.StreamResponse:
    """Send events as server-sent events, until either side leaves."""
    response = web.StreamResponse(headers={**call.headers, "Content-Type": "text/event-stream"})
    await response.prepare(call.http)

    async def send(number: int, event: Event) -> None:
        data = encode(event.data)
        await response.write(b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.type.encode(), data))

    with contextlib.suppress(ConnectionError):
        await deliver(call, subscribe(), send)
    response.force_close()
    return response


async def deliver(call: Call, subscription: Subscription, send: Send) -> None:
    """Send what the subscription brings, numbered from 0, until it ends, the listener leaves or takes nothing."""
    call.connection.listens = True  # a timer for each event would take as long as the event
    call.on_hang_up(subscription.end)
    if request := current():
        request.lasts = True
    number = 0
    try:
        while (event := await subscription.next()) is not None:
            if event.type == OF_CERTIFICATES and not call.sees_holder:
                continue
            await send(number, event)
            number += 1
    finally:
        subscription.end()
