"""Answers without end: what a subscription brings goes out as server-sent events, or however its caller sends it.

A listener that does not take its events is dropped; nothing is sent to keep a connection alive.

Source: HTML standard, server-sent events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec.json import encode

from cardd.api.call import Call
from cardd.core.events import Subscription
from cardd.model import Event

Send = Callable[[int, Event], Awaitable[None]]


async def server_sent(call: Call, subscribe: Callable[[], Subscription]) -> web.StreamResponse:
    """Tell as server-sent events, until either side leaves."""
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
    call.on_hang_up(subscription.end)
    number = 0
    try:
        while (event := await subscription.next()) is not None:
            async with asyncio.timeout(call.limits.write_timeout):
                await send(number, event)
            number += 1
    except TimeoutError:
        if call.http.transport:
            call.http.transport.abort()
    finally:
        subscription.end()
