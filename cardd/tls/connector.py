"""aiohttp's client over these connections: its pool, HTTP and streams, our TLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from cardd.errors import UpstreamUnknown
from cardd.outward import DIRECT, Outward
from cardd.tls.dialler import Credentials, Dialler, Server, Vouch

CONNECTIONS = 32
KEEP_ALIVE = 60.0  # seconds for which an unused connection is kept


class _StrictResponseHandler(ResponseHandler):
    """aiohttp's handler, which takes a lost connection for the end of a body without a length; this one does not."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Fail a body that the server did not end with its goodbye."""
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError("lost connection"), exc)
        super().connection_lost(exc)


class KeyConnector(aiohttp.BaseConnector):
    """Connections to one server only, made as ``Dialler`` makes them, with its errors, ``vouch`` and ``clock``.

    An ``aiohttp.ClientSession`` takes it as its connector; requests raise the errors of ``cardd.errors`` beside
    aiohttp's own.
    """

    def __init__(
        self,
        server: Server,
        credentials: Credentials | None,
        outward: Outward = DIRECT,
        *,
        vouch: Vouch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(keepalive_timeout=KEEP_ALIVE, limit=CONNECTIONS)
        self._server = server
        self._dialler = Dialler(server, credentials, outward, vouch=vouch, clock=clock)

    async def cut(self) -> None:
        """End every connection now; tell whoever reads from one (aiohttp would leave them waiting)."""
        await self._dialler.cut()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],  # noqa: ARG002 - the parameters are aiohttp's
        timeout: aiohttp.ClientTimeout,  # noqa: ARG002
    ) -> ResponseHandler:
        """Make a connection: aiohttp's contract for connectors."""
        if (req.url.scheme, req.url.host, req.url.port) != ("https", self._server.host, self._server.port):
            raise UpstreamUnknown(name=self._server.name)
        return await self._dialler.dial(lambda: _StrictResponseHandler(asyncio.get_running_loop()))
