"""Somebody between a client and a server, who may make the client wait, hang up, or put in a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Middleman:
    """Passes on what goes to and fro, for ``allowed`` connections.

    ``knocked`` is set when somebody connects, who waits until ``open`` is; ``writer`` is the last one's, to the client.
    """

    def __init__(self, server: int, allowed: int) -> None:
        self._server, self._left = server, allowed
        self.port = 0
        self.knocked, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.writer = writer
        self.knocked.set()
        await self.open.wait()
        self._left -= 1
        if self._left >= 0:
            there, back = await asyncio.open_connection("127.0.0.1", self._server)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def middleman(server: int, allowed: int = 100) -> AsyncIterator[Middleman]:
    """One before the server at this port of loopback."""
    between = Middleman(server, allowed)
    async with await asyncio.start_server(between.serve, "127.0.0.1", 0) as listening:
        between.port = listening.sockets[0].getsockname()[1]
        yield between
