"""The API's server over sockets that are already bound: TCP on both loopback families, and the Unix socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

from cardd.api.connection import HttpServer, PeerOf
from cardd.api.dispatch import Dispatcher
from cardd.api.routes import ROUTES
from cardd.api.services import ApiLimits, Services

GRACE = 1.5
BACKLOG = 128


class ApiServer:
    """Serves the route table. ``peer_of`` tells who is at the other end of a connection, None when nobody can."""

    def __init__(self, services: Services, *, peer_of: PeerOf, limits: ApiLimits | None = None) -> None:
        self._services = services
        self._peer_of = peer_of
        self._limits = limits or ApiLimits()
        self._dispatcher = Dispatcher(services, self._limits, ROUTES)
        self._http: HttpServer | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these sockets, bound and of type SOCK_STREAM; they are closed by ``stop``."""
        loop = asyncio.get_running_loop()
        self._http = HttpServer(self._dispatcher, self._peer_of, self._limits)
        for sock in sockets:
            # also for AF_UNIX: create_unix_server would remove the path of a socket that systemd owns
            self._servers.append(await loop.create_server(self._http, sock=sock, backlog=BACKLOG))

    async def stop(self) -> None:
        """Accept nothing more, end the event streams, and give what is under way a moment to be answered."""
        for server in self._servers:
            server.close()
        self._services.events.close()
        self._services.trace.close()
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(GRACE)
        await self._dispatcher.close()
