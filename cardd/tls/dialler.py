"""Connections to one server, for any protocol: the key is asked once, later ones resume its TLS session."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from cardd.errors import CarddError
from cardd.model import Algorithm
from cardd.outward import DIRECT, Outward
from cardd.tls.connection import Ask, LoopSigner, TlsTransport, connect, sign_here
from cardd.tls.context import ShownCertificate, TlsContext
from cardd.tls.engine import Engine, Resumption
from cardd.tls.starttls import StartTls
from cardd.values import Value

VOUCHED_FOR = 3600.0  # seconds, for resumptions of one full handshake
TICKET_WAIT = 0.25  # for a TLS 1.3 server's ticket, where a second connection is wanted at once

Vouch = Callable[[Sequence[bytes], bytes], Awaitable[None]]  # the path, and the OCSP answer that was stapled
P = TypeVar("P", bound=asyncio.Protocol)


class Server(Value):
    """The other end: its name in errors, its address, and whom to trust there (see ``TlsContext``).

    ``patience`` is for how many seconds a TCP connection to it, or to the proxy before it, is waited for, ``words`` for
    all that it says in the handshake; ``starttls`` is the protocol that asks for TLS where a connection begins without.
    """

    name: str
    host: str
    port: int
    authorities: Path | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"
    patience: float = 10.0
    words: float = 60.0
    starttls: StartTls = "none"


class Credentials(Value):
    """The certificate that is shown, with its chain, and the key behind it: ``ask`` has a SHA-256 digest signed."""

    certificate: bytes
    algorithms: tuple[Algorithm, ...]
    ask: Ask
    chain: tuple[bytes, ...] = ()


class Dialler:
    """Makes the connections. ``vouch`` is given the path that each full handshake has verified, and what was stapled.

    The key is not asked, our certificate not shown and nothing sent before ``vouch`` returns; what it raises ends the
    connection. It is asked once more, by ``clock``, before a resumption that comes ``VOUCHED_FOR`` later. Raises what
    ``TlsContext`` raises.
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
        self._server = server
        self._outward = outward
        self._credentials = credentials
        self._vouch = vouch or _trust
        self._clock = clock
        self._vouched_at = 0.0
        self._path, self._stapled = list[bytes](), b""  # of the last full handshake
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
        """End every connection now."""
        for transport in list(self._live):
            transport.abort()
        await asyncio.sleep(0)  # for the loop to tell who reads from one

    async def dial(self, make: Callable[[], P]) -> P:
        """Return a protocol, connected. Raises UpstreamError, and what the key and ``vouch`` raised."""
        async with self._turn:
            await self._ticket()
            return await self._dial(make)

    async def _ticket(self) -> None:
        """Wait a moment, once, for what a full handshake may bring, instead of asking the key again."""
        if self._was_asked and self._resumption is None and not self._resumable.is_set():
            try:
                await asyncio.wait_for(self._resumable.wait(), TICKET_WAIT)
            except TimeoutError:
                self._resumable.set()  # this server gives none: nobody else waits for it

    async def _dial(self, make: Callable[[], P]) -> P:
        engine, above = Engine(self._context, self._server.host, self._server.name, self._resumption), make()
        transport = await self._connect(engine, above)
        self._live.add(transport)
        self._was_asked |= not engine.is_resumed
        try:
            if not engine.is_resumed:
                await self._require(engine)
            elif self._clock() > self._vouched_at + VOUCHED_FOR:
                await self._require_again()
        except BaseException as fault:
            self._resumption = None
            transport.abort()
            if engine.is_resumed and isinstance(fault, CarddError):
                return await self._dial(make)  # in a full handshake the server may bring a newer answer with it
            raise
        return above

    async def _connect(self, engine: Engine, above: asyncio.Protocol) -> TlsTransport:
        async def ask(algorithm: Algorithm, digest: bytes) -> bytes:
            assert self._credentials is not None  # noqa: S101 - who has none has no signer
            await self._require(engine)  # before the person is asked for a PIN, and the server learns who they are
            return await self._credentials.ask(algorithm, digest)

        server = self._server
        return await connect(
            server.host,
            server.port,
            engine,
            server.name,
            above,
            signer=LoopSigner(ask) if self._credentials else None,
            on_resumable=self._keep,
            outward=self._outward,
            patience=server.patience,
            words=server.words,
            starttls=server.starttls,
        )

    async def _require(self, engine: Engine) -> None:
        """Ask about a full handshake's path, once."""
        if engine.is_vouched_for:
            return
        path, stapled = engine.path, engine.stapled
        await self._vouch(path, stapled)
        engine.is_vouched_for = True
        self._path, self._stapled, self._vouched_at = path, stapled, self._clock()

    async def _require_again(self) -> None:
        await self._vouch(self._path, self._stapled)
        self._vouched_at = self._clock()

    def _keep(self, resumption: Resumption) -> None:
        self._resumption = resumption
        self._resumable.set()


async def _trust(_path: Sequence[bytes], _stapled: bytes) -> None:
    """Ask nobody."""
