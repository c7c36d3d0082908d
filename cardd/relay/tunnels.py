"""The tunnels of one session to one server: any protocol that a program speaks, over TLS with the session's key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from cardd.config import Upstream
from cardd.errors import TooManyRequests, UpstreamClosed
from cardd.outward import DIRECT, Outward
from cardd.relay.vouching import Vouching
from cardd.tls.dialler import Credentials, Dialler, Server
from cardd.tls.starttls import GREETING
from cardd.values import replace

TUNNELS_MAX = 16  # mail programs have five connections or so for each account
PIECE = 64 * 1024
RETRY_AFTER = 10


class _Ends(asyncio.StreamReaderProtocol):
    """The two ends of asyncio's streams; ``transport`` is what they write to."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TlsTransport is one
        self.transport = transport
        super().connection_made(transport)


class Tunnel:
    """One connection; ``read`` gives b"" once the server said goodbye."""

    def __init__(self, upstream: Upstream, ends: _Ends, reader: asyncio.StreamReader) -> None:
        self._name = upstream.name
        self._greeting = GREETING[upstream.starttls]
        self._reader = reader
        self._writer = asyncio.StreamWriter(ends.transport, ends, reader, asyncio.get_running_loop())

    async def read(self) -> bytes:
        """Return what the server said. Raises UpstreamClosed where it did not say goodbye."""
        if self._greeting:
            greeting, self._greeting = self._greeting, b""
            return greeting
        try:
            return await self._reader.read(PIECE)
        except OSError as fault:
            raise UpstreamClosed(name=self._name) from fault

    async def write(self, data: bytes) -> None:
        """Send the data; return when there is room for more; nothing after ``end``. Raises UpstreamClosed."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as fault:
            raise UpstreamClosed(name=self._name) from fault

    def end(self) -> None:
        """Tell the server that all was said; it may answer still."""
        self._writer.write_eof()

    def close(self) -> None:
        """Say goodbye."""
        self._writer.close()


class TunnelPool:
    """The tunnels, opened as programs want them; ``retire`` and ``close`` end them all.

    A program keeps a tunnel for as long as it likes: unlike a request, none would come to its end under a lock.
    """

    def __init__(
        self, upstream: Upstream, credentials: Credentials, vouching: Vouching, outward: Outward = DIRECT
    ) -> None:
        self._upstream = upstream
        place = Server(upstream.name, upstream.host, upstream.port, upstream.authorities, upstream.tls)
        server = replace(place, starttls=upstream.starttls)
        self._dialler = Dialler(
            server, credentials, outward, vouch=partial(vouching.require, upstream), clock=vouching.clock.monotonic
        )
        self._count = 0
        self._is_over = False

    @asynccontextmanager
    async def tunnel(self) -> AsyncIterator[Tunnel]:
        """Yield one more. Raises TooManyRequests, UpstreamError, and what the use of the key raised."""
        if self._count >= TUNNELS_MAX:
            raise TooManyRequests(retry_after=RETRY_AFTER)
        self._count += 1
        try:
            reader = asyncio.StreamReader(PIECE)
            tunnel = Tunnel(self._upstream, await self._dialler.dial(lambda: _Ends(reader)), reader)
            try:
                if self._is_over:
                    raise UpstreamClosed(name=self._upstream.name)
                yield tunnel
            finally:
                tunnel.close()
        finally:
            self._count -= 1

    async def retire(self) -> None:
        """End every tunnel."""
        await self.close()

    async def close(self) -> None:
        """End every tunnel."""
        self._is_over = True
        await self._dialler.cut()
