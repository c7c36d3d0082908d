"""aiohttp's client over these connections: its pool, HTTP and streams, our TLS."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from cardd.errors import UpstreamUnknown
from cardd.model import Algorithm
from cardd.outward import DIRECT, Outward
from cardd.tls.connection import Ask, LoopSigner, connect, sign_here
from cardd.tls.context import ShownCertificate, TlsContext
from cardd.tls.engine import Engine, Resumption

CONNECTIONS = 32
KEEP_ALIVE = 60.0  # seconds for which an unused connection is kept
TICKET_WAIT = 0.25  # for a TLS 1.3 server's ticket, where a second connection is wanted at once


Vouch = Callable[[Sequence[bytes], bytes], Awaitable[None]]  # the path, and the OCSP answer that was stapled


@dataclass(frozen=True, slots=True)
class Server:
    """The other end: its name in errors, its address, and whom to trust there (see ``TlsContext``).

    ``patience`` is for how many seconds a TCP connection to it, or to the proxy before it, is waited for.
    """

    name: str
    host: str
    port: int
    authorities: Path | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"
    patience: float = 10.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """The certificate that is shown, with its chain, and the key behind it: ``ask`` has a SHA-256 digest signed."""

    certificate: bytes
    algorithms: tuple[Algorithm, ...]
    ask: Ask
    chain: tuple[bytes, ...] = ()


class _StrictResponseHandler(ResponseHandler):
    """aiohttp's handler, which takes a lost connection for the end of a body without a length; this one does not."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Fail a body that the server did not end with its goodbye."""
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError("lost connection"), exc)
        super().connection_lost(exc)


class KeyConnector(aiohttp.BaseConnector):
    """Connections to one server only. A key is asked once: later connections resume its TLS session.

    An ``aiohttp.ClientSession`` takes it as its connector; requests raise the errors of ``cardd.errors`` beside
    aiohttp's own. ``vouch`` is given the path that each full handshake has verified, and what was stapled, before
    anything is sent; what it raises ends the connection. Raises what ``TlsContext`` raises.
    """

    def __init__(
        self,
        server: Server,
        credentials: Credentials | None,
        outward: Outward = DIRECT,
        *,
        vouch: Vouch | None = None,
    ) -> None:
        super().__init__(keepalive_timeout=KEEP_ALIVE, limit=CONNECTIONS)
        self._server = server
        self._outward = outward
        self._credentials = credentials
        self._vouch = vouch
        shown = (
            ShownCertificate(credentials.certificate, credentials.algorithms, sign_here, credentials.chain)
            if credentials
            else None
        )
        besides = None if server.authorities else outward.authorities
        self._context = TlsContext(shown, authorities=server.authorities, besides=besides, minimum=server.minimum)
        self._turn = asyncio.Lock()
        self._resumption: Resumption | None = None
        self._resumable = asyncio.Event()
        self._live: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self._was_asked = False

    async def cut(self) -> None:
        """End every connection now; tell whoever reads from one (aiohttp would leave them waiting)."""
        for transport in list(self._live):
            transport.abort()
        await asyncio.sleep(0)  # for the loop to tell them

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],  # noqa: ARG002 - the parameters are aiohttp's
        timeout: aiohttp.ClientTimeout,  # noqa: ARG002
    ) -> ResponseHandler:
        """Make a connection: aiohttp's contract for connectors."""
        if (req.url.scheme, req.url.host, req.url.port) != ("https", self._server.host, self._server.port):
            raise UpstreamUnknown(name=self._server.name)
        async with self._turn:
            await self._ticket()
            return await self._connect()

    async def _ticket(self) -> None:
        """Wait a moment, once, for what a full handshake may bring, instead of asking the key again."""
        if self._was_asked and self._resumption is None and not self._resumable.is_set():
            try:
                await asyncio.wait_for(self._resumable.wait(), TICKET_WAIT)
            except TimeoutError:
                self._resumable.set()  # this server gives none: nobody else waits for it

    async def _connect(self) -> ResponseHandler:
        server = self._server
        engine = Engine(self._context, server.host, server.name, self._resumption)
        above = await connect(
            server.host,
            server.port,
            engine,
            server.name,
            _StrictResponseHandler(asyncio.get_running_loop()),
            signer=LoopSigner(self._credentials.ask) if self._credentials else None,
            on_resumable=self._keep,
            outward=self._outward,
            patience=server.patience,
        )
        if above.transport is not None:
            self._live.add(above.transport)
        self._was_asked |= not engine.is_resumed
        if self._vouch is not None and not engine.is_resumed:
            try:
                await self._vouch(engine.path, engine.stapled)
            except BaseException:
                self._resumption = None
                if above.transport is not None:
                    above.transport.abort()
                raise
        return above

    def _keep(self, resumption: Resumption) -> None:
        self._resumption = resumption
        self._resumable.set()
