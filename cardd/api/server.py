"""The API's server over sockets that are already bound: TCP on both loopback families, plain or TLS, and Unix."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence

from cardd.api.connections import HasLeft, HttpServer, PeerOf
from cardd.api.dispatch import Dispatcher
from cardd.api.handshake import Contexts
from cardd.api.parts import ApiLimits, Parts
from cardd.api.routes import ROUTES
from cardd.core.lifecycle import Part
from cardd.core.session import Session
from cardd.errors import CarddError, ClientLocked, ClientUnknown, PageConsentNeeded
from cardd.model import Caller, CallerKey, Event

GRACE = 1.5  # seconds for what is under way when the server stops
BACKLOG = 128
# taken before anything that came is read: fewer than a user may hold, or a burst of silent connections would have those
# make room that have asked already
ACCEPTED_AT_ONCE = 8
SHUT_OUT: dict[str, type[CarddError]] = {"client_locked": ClientLocked, "origin_revoked": PageConsentNeeded}

Listen = Callable[[], Sequence[tuple[socket.socket, Contexts | None]]]  # with what gives a context: over TLS

log = logging.getLogger(__name__)


def _of_both_families(ports: Mapping[int, int]) -> int | None:
    """Return the port that is ours whichever family a browser takes for a name below ``localhost``; None without one.

    Where there is no IPv6 on this machine, nobody else can have it there.
    """
    port = ports.get(socket.AF_INET)
    if port is None or ports.get(socket.AF_INET6) == port:
        return port
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return port
    log.warning("no status page: [::1]:%d is not ours, and whoever has it could take its place", port)
    return None


class ApiServer(Part):
    """The server of the route table. ``listen`` opens its sockets, of type SOCK_STREAM; ``stop`` closes them.

    ``peer_of`` returns who is at the other end of one, None when nobody can tell; ``has_left`` whether nobody is there
    any more, though what came before was not read yet.
    """

    def __init__(self, parts: Parts, *, listen: Listen, peer_of: PeerOf, has_left: HasLeft, limits: ApiLimits) -> None:
        self._parts = parts
        self._listen = listen
        self._peer_of = peer_of
        self._has_left = has_left
        self._limits = limits
        self._dispatcher = Dispatcher(parts, self._limits, ROUTES)
        self._http: HttpServer | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Accept connections. Raises what ``listen`` raises."""
        loop = asyncio.get_running_loop()
        self._http = HttpServer(self._dispatcher, self._peer_of, self._has_left, self._is_known, self._limits)
        plain: dict[int, int] = {}  # our ports for browsers, by the family
        for sock, tls in self._listen():
            made = self._http.over(tls) if tls else self._http
            # also for AF_UNIX: create_unix_server would remove the path of a socket that systemd owns
            self._servers.append(await loop.create_server(made, sock=sock, backlog=ACCEPTED_AT_ONCE))
            sock.listen(BACKLOG)
            if tls is None and sock.family != socket.AF_UNIX:
                plain[sock.family] = sock.getsockname()[1]
        self._parts.status_pages.port = _of_both_families(plain)

    def client_shut_out(self, client: CallerKey, reason: str, _name: str) -> None:
        """End what is under way for the client, the streams of events too: none of it is the client's any more."""
        self._tell_person(client.uid)
        why = SHUT_OUT.get(reason, ClientUnknown)()
        self._dispatcher.end_where(lambda call: call.who is not None and call.who.key.is_of(client), why)
        for bus in (self._parts.events, *self._parts.trace.buses):
            bus.end_where(lambda subscription: subscription.caller is not None and subscription.caller.is_of(client))

    def client_let_in(self, client: Caller, act: str, consent: str | None) -> None:  # noqa: ARG002 - of every part
        """Tell the person's own listeners: the status page lists programs and sites."""
        self._tell_person(client.peer.uid)

    def _tell_person(self, uid: int) -> None:
        self._parts.events.publish(Event("clients.changed", {}, to=CallerKey(uid, f"local:{uid}")))

    def session_closed(self, session: Session, reason: str) -> None:
        """Close the dialogs of a session that ended; its card's own have closed when that left."""
        try:
            self._parts.sessions.ensure_open(session)
        except CarddError as why:
            self._dispatcher.end_where(lambda call: call.open_session is session, why, is_by_caller=reason == "logout")

    def _is_known(self, uid: int) -> bool:
        """Return whether the readers are this OS user's, or a program of theirs was paired."""
        return self._parts.readers.owners.owns(uid) or bool(self._parts.clients.programs(uid))

    async def stop(self) -> None:
        """Accept nothing more, end the event streams, and give what is under way a moment to be answered."""
        for server in self._servers:
            server.close()
        self._parts.events.close()
        self._parts.trace.close()
        if self._http is not None:
            await self._http.handshakes.cancel()
            self._http.pre_shutdown()
            await self._http.shutdown(GRACE)
        await self._dispatcher.close()
