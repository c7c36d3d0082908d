"""A connection over TLS until its handshake is over: counted like any other from its first moment on.

Who is at the other end is looked up on the TCP socket, before a byte is read. What has shaken hands goes on as a
connection of its own; what dawdles is gone as soon as one that dawdles over a request's head.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Protocol, cast

from cardd.api.call import ConnectionInfo
from cardd.worker import Background

CLOSE = 1.0  # seconds for the other end to say goodbye
BUFFER_MAX = 64 * 1024  # bytes of one connection, each way, as over plain TCP; asyncio's own are 256 and 512 KiB
READ_AT_ONCE = 32 * 1024  # each connection has a buffer of this size from its first moment on, asyncio's 256 KiB

Contexts = Callable[[], ssl.SSLContext | None]  # what the next handshake needs; None: no https now

log = logging.getLogger(__name__)


class CountedConnection(Protocol):
    """What is counted: a connection, or one that is about to be."""

    descriptor: int
    info: ConnectionInfo | None

    @property
    def worth(self) -> int | None:
        """How late it makes room for another one; None while it is used."""
        ...

    def make_room(self) -> None:
        """Hang up for another connection of the same user."""
        ...


class ConnectionCounter(Protocol):
    """Who counts connections, and makes them."""

    def info_of(self, transport: asyncio.BaseTransport) -> ConnectionInfo | None:
        """Return what is known of a new connection."""
        ...

    def count(self, connection: CountedConnection) -> bool:
        """Count one more; return whether there is room for it."""
        ...

    def discount(self, connection: CountedConnection) -> None:
        """Count one less."""
        ...

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of what has shaken hands."""
        ...


class _OverTls(Protocol):
    """What asyncio's transports over TLS have beside others."""

    def set_read_buffer_limits(self, high: int) -> None:
        """Have no more than this kept of what came and is not taken."""
        ...


class Handshake(asyncio.Protocol):
    """The protocol of a TCP connection that has still to become one over TLS."""

    worth = 0  # it has asked nothing

    def __init__(self, server: ConnectionCounter, contexts: Contexts, tasks: Background, within: float) -> None:
        self.descriptor = -1
        self.info: ConnectionInfo | None = None
        self._server = server
        self._contexts = contexts
        self._tasks = tasks
        self._within = within
        self._transport: asyncio.Transport | None = None
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who calls, and begin if they may hold one more connection."""
        transport = cast(asyncio.Transport, transport)  # of a socket
        transport.pause_reading()  # what comes is the handshake's
        self._transport = transport
        self.descriptor = transport.get_extra_info("socket").fileno()
        self.info = self._server.info_of(transport)
        context = self._contexts()
        self._counted = context is not None and self._server.count(self)
        if context is None or not self._counted:
            transport.abort()
            return
        self._tasks.start(self._shake(transport, context))

    def make_room(self) -> None:
        """Hang up."""
        self._uncount()
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the parameter is asyncio's
        """Count one less: it was lost before the handshake began."""
        self._uncount()

    async def _shake(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        inner = _Later(self._server)
        SSLProtocol.max_size = READ_AT_ONCE  # of the class: the one that start_tls makes takes no other word
        try:
            over_tls = await loop.start_tls(
                transport,
                inner,
                context,
                server_side=True,
                ssl_handshake_timeout=self._within,
                ssl_shutdown_timeout=CLOSE,
            )
        except (OSError, asyncio.CancelledError) as why:  # ssl.SSLError and a time-out are OSErrors
            log.debug("no TLS: %s", why)
            transport.abort()
            over_tls = None
        finally:
            self._uncount()
        if over_tls is not None:
            inner.begin(over_tls)

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self._server.discount(self)


class _Later(asyncio.Protocol):
    """What comes in the moment between the end of a handshake and the connection that it is for."""

    def __init__(self, server: ConnectionCounter) -> None:
        self._server = server
        self._came: list[bytes] = []
        self._is_lost = False

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self._came.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the parameter is asyncio's
        """Note that there is nobody any more."""
        self._is_lost = True

    def begin(self, transport: asyncio.Transport) -> None:
        """Hand everything over to a connection."""
        if self._is_lost or transport.is_closing():
            transport.abort()
            return
        transport.set_write_buffer_limits(BUFFER_MAX)
        cast(_OverTls, transport).set_read_buffer_limits(BUFFER_MAX)
        connection = self._server()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        for data in self._came:
            connection.data_received(data)
        self._came.clear()
