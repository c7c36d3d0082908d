"""GET …/tunnels/{name}: a WebSocket whose binary messages are the bytes of a connection to a configured server.

The WebSocket is there before the server is reached, since libraries hide why one was refused. Why there is no tunnel,
or none any more, a text message says: the error's problem. The close with ``FAILED`` has its code for a reason. An
empty binary message says that the program has said all, and still listens.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web
from msgspec.json import Encoder

from cardd.api.call import Call, websocket
from cardd.api.problems import problem
from cardd.config import Upstream
from cardd.errors import CarddError
from cardd.request import current
from cardd.worker import until_one_ends

if TYPE_CHECKING:
    from cardd.relay.tunnels import Tunnel

DONE, FAILED = 1000, 4000
MESSAGE_MAX = 1024 * 1024
GOODBYE = 1.0  # seconds for the program's own
AHEAD = 4  # messages that may wait for the server

Messages = asyncio.Queue[bytes | None]  # b"": the program has said all; None: it has left

_encoder = Encoder()


async def dig(call: Call) -> web.StreamResponse:
    """Carry bytes both ways until either side leaves, or the session is locked or ends."""
    upstream = call.parts.relay.upstreams.named(call.path["name"], "tls")
    socket = await websocket(call, MESSAGE_MAX, GOODBYE)
    if request := current():
        request.lasts = True
    error = await _carried(call, upstream, socket)
    if error is None:
        await socket.close(code=DONE)
    else:
        told = problem(error, call.http.headers.get("Accept-Language", ""))
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(socket.send_str(_encoder.encode(told.body).decode()), GOODBYE)
        await socket.close(code=FAILED, message=error.code.encode())
    return socket


async def _carried(call: Call, upstream: Upstream, socket: web.WebSocketResponse) -> CarddError | None:
    """Return why the tunnel ended, once it is over; None where either side left."""
    said, is_open = Messages(AHEAD), asyncio.Event()
    hearing = asyncio.ensure_future(_hear(socket, said))
    carrying = asyncio.ensure_future(_carry(call, upstream, socket, said, is_open))
    try:
        await asyncio.wait((hearing, carrying), return_when=asyncio.FIRST_COMPLETED)
        if not is_open.is_set() and not carrying.done():
            carrying.cancel()  # the program gave up while a person was asked
            await asyncio.wait((carrying,))
            return None
        await carrying
    except CarddError as error:
        return error
    except ConnectionError:
        pass  # the program has left
    finally:
        hearing.cancel()
        carrying.cancel()
        await asyncio.gather(hearing, carrying, return_exceptions=True)
    return None


async def _hear(socket: web.WebSocketResponse, said: Messages) -> None:
    """Keep what the program says, in its order."""
    while (message := await socket.receive()).type is WSMsgType.BINARY:
        await said.put(message.data)
    await said.put(None)


async def _carry(
    call: Call, upstream: Upstream, socket: web.WebSocketResponse, said: Messages, is_open: asyncio.Event
) -> None:
    async with call.parts.relay.tunnel(call.session, upstream) as tunnel:
        is_open.set()
        await until_one_ends(_down(tunnel, socket), _up(call, said, tunnel))


async def _down(tunnel: Tunnel, socket: web.WebSocketResponse) -> None:
    while data := await tunnel.read():
        await socket.send_bytes(data)


async def _up(call: Call, said: Messages, tunnel: Tunnel) -> None:
    while (data := await said.get()) is not None:
        call.parts.sessions.touch(call.session)  # as a request does; what the server says is no use
        if data:
            await tunnel.write(data)
        else:
            tunnel.end()
