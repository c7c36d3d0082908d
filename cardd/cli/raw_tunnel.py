"""Connections of programs on this machine, each carried to a configured server by a raw tunnel of the session.

Whoever reaches the listener acts with the card, so it answers to programs of the user who started it. A browser is one
of them, and a page can have it connect anywhere: what begins as browsers begin (HTTP, TLS, STUN) is not carried, for
else a page's request would have lines that a mail server obeys.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from cardd.client import Session
from cardd.client.tunnel import Tunnel
from cardd.errors import CarddError
from cardd.system.peer import peer_of
from cardd.worker import until_one_ends

PIECE = 64 * 1024
OF_BROWSERS = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE|PRI) |[\x00\x16]", re.IGNORECASE)


class RawTunnel:
    """One listener for one server and one session; ``on_failure`` is told why a connection could not go on."""

    scheme = "tcp"

    def __init__(self, session: Session, upstream: str, on_failure: Callable[[CarddError], None]) -> None:
        self._session = session
        self._upstream = upstream
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, address: str, port: int) -> AsyncIterator[int]:
        """Serve inside the ``async with``. Gives the port. Raises OSError."""
        server = await asyncio.start_server(self._serve, address, port, limit=PIECE)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._tasks.add(task)
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            if peer is not None and peer.uid == os.getuid():
                async with self._session.tunnel(self._upstream) as tunnel:
                    await _carry(tunnel, reader, writer)
        except CarddError as error:
            self._on_failure(error)
        except OSError:
            pass  # the program has left
        except asyncio.CancelledError:
            pass  # the command ends; asyncio would log it
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _carry(tunnel: Tunnel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return when either side has left, or began as no program may."""
    await until_one_ends(_down(tunnel, writer), _up(reader, tunnel))


async def _down(tunnel: Tunnel, writer: asyncio.StreamWriter) -> None:
    while data := await tunnel.read():
        writer.write(data)
        await writer.drain()


async def _up(reader: asyncio.StreamReader, tunnel: Tunnel) -> None:
    is_first = True
    while data := await reader.read(PIECE):
        if is_first and OF_BROWSERS.match(data):
            return
        is_first = False
        await tunnel.write(data)
