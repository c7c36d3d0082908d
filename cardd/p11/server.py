"""The socket for other programs' PKCS#11: who connects, and what becomes of all that they opened when a card leaves.

Nothing but this file and ``logins`` is imported before the first program comes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cardd.core.events import EventBus
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.observer import Observer
from cardd.core.owners import OwnedReaders
from cardd.core.presence import Presence
from cardd.model import Caller, CallerKind, Peer
from cardd.p11.logins import Keys
from cardd.p11.turns import Turns
from cardd.ports import Handover
from cardd.worker import Background

if TYPE_CHECKING:
    from cardd.p11.connection import Connection
    from cardd.p11.module import Module
    from cardd.p11.tokens import Tokens

BACKLOG = 128
ACCEPTED_AT_ONCE = 8
CONNECTIONS_MAX = 128  # of one OS user whose the readers are
PROCESS_MAX = 64  # of one process: no program that forgets its connections keeps the user's others out
OTHERS_MAX = 16  # of another user, who has the organisation's certificate at most
ALL_OTHERS_MAX = 1024  # of all of them
LOOK, LOOKS = 0.01, 100  # seconds between two looks whether all calls are answered when the daemon stops, and how many

Listen = Callable[[], Sequence[socket.socket]]
PeerOf = Callable[[socket.socket], Peer | None]
HasLeft = Callable[[socket.socket], bool]
Above = Callable[[bytes], Sequence[bytes]]


class P11Server(Part):
    """Accepts programs. ``listen`` opens its sockets; ``peer_of`` returns who is at the other end of one.

    ``has_left`` tells whether nobody is there any more, ``above`` which authorities stand above a certificate. No
    connection is taken from file descriptor ``descriptors`` on; half of them are for whose the readers are.
    """

    def __init__(
        self,
        readers: OwnedReaders,
        keys: Keys,
        above: Above,
        *,
        listen: Listen,
        peer_of: PeerOf,
        has_left: HasLeft,
        events: EventBus,
        observer: Observer,
        handover: Handover,
        descriptors: int,
    ) -> None:
        self.has_left = has_left
        self.observer = observer
        self._events = events
        self._handover = handover
        self._readers = readers
        self._keys = keys
        self._above = above
        self._listen = listen
        self._peer_of = peer_of
        self._descriptors = descriptors
        self._turns = Turns()
        self._servers: list[asyncio.Server] = []
        self._resumed: list[tuple[int, str]] = []  # connections of the daemon before this one
        self._background = Background()
        self._serving: asyncio.Task[None] | None = None
        self._tokens: Tokens | None = None
        self._connections: dict[Connection, Peer] = {}
        self._of_user: Counter[int] = Counter()
        self._of_process: Counter[tuple[int, int | None]] = Counter()

    async def start(self) -> None:
        """Listen; connections are accepted once it is known whose the readers are. Raises what ``listen`` raises."""
        loop = asyncio.get_running_loop()
        sockets = self._listen()
        for sock in sockets:
            # create_unix_server would remove the path of a socket that systemd owns
            made = loop.create_server(self._protocol, sock=sock, backlog=ACCEPTED_AT_ONCE, start_serving=False)
            self._servers.append(await made)
            sock.listen(BACKLOG)
        self._resumed = list(self._handover.taken())
        self._serving = self._background.start(self._serve(sockets))

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections: many a program asks for its slots once, and must not be told then that it has none."""
        await self._readers.owners.told.wait()
        loop = asyncio.get_running_loop()
        for server in self._servers:
            await server.start_serving()
        for sock in sockets:
            sock.listen(BACKLOG)
        while self._resumed:
            descriptor, process = self._resumed.pop(0)
            sock = socket.socket(fileno=descriptor)
            sock.setblocking(False)
            await loop.connect_accepted_socket(partial(self._protocol, process), sock)

    async def stop(self) -> None:
        """Accept nothing more; programs go on with the next daemon, or are hung up on.

        The connections of whose the readers are come first: nobody else's take the places that there are.
        """
        if self._serving is not None:
            self._serving.cancel()
        for server in self._servers:
            server.close()
        for descriptor, process in self._resumed:  # which nobody has served yet
            self._keep(process, descriptor)
            os.close(descriptor)
        for connection in tuple(self._connections):
            connection.rest()
        for _ in range(LOOKS):
            if all(connection.is_at_rest for connection in self._connections):
                break
            await asyncio.sleep(LOOK)
        for connection in sorted(self._connections, key=self.is_owners, reverse=True):
            connection.hand_over(partial(self._keep, self._connections[connection].process))

    def _keep(self, process: str, descriptor: int) -> bool:
        return self._handover.keep(descriptor, process)

    def card_removed(self, card: InsertedCard, _reason: str) -> None:
        """End what programs opened on a card that left."""
        for connection in self._connections:
            if connection.module:
                connection.module.card_removed(card)
        if self._tokens:
            self._tokens.forget(card)

    # --- what connections ask

    def joined(self, connection: Connection, sock: socket.socket, process: str | None = None) -> Module | None:
        """Return what a new connection serves; None when nobody is known there, or its user has too many.

        None too where the peer is not ``process``: its number is another one's by now.
        """
        peer = self._peer_of(sock)
        if peer is None or not self._has_room(peer, sock.fileno()) or process not in (None, peer.process):
            return None
        self._connections[connection] = peer
        self._count(peer, 1)
        return self._module(peer, connection.presence)

    def left(self, connection: Connection) -> None:
        """Forget a connection."""
        peer = self._connections.pop(connection, None)
        if peer is not None:
            self._count(peer, -1)

    def line_up(self, connection: Connection) -> None:
        """Have a connection's call answered when its turn comes."""
        self._turns.join(connection, self._connections[connection].uid)

    def is_owners(self, connection: Connection) -> bool:
        """Return whether it is of a user whose the readers are."""
        return self._readers.owners.owns(self._connections[connection].uid)

    def _has_room(self, peer: Peer, descriptor: int) -> bool:
        """Return whether one more connection may be of this process and this user."""
        if self._of_process[peer.uid, peer.pid] >= PROCESS_MAX:
            return False
        if self._readers.owners.owns(peer.uid):
            return self._of_user[peer.uid] < CONNECTIONS_MAX and descriptor < self._descriptors
        others = sum(count for uid, count in self._of_user.items() if not self._readers.owners.owns(uid))
        is_full = self._of_user[peer.uid] >= OTHERS_MAX or others >= ALL_OTHERS_MAX
        return not is_full and descriptor < self._descriptors // 2

    def _count(self, peer: Peer, more: int) -> None:
        """Count one connection more or less."""
        self._of_user[peer.uid] += more
        self._of_process[peer.uid, peer.pid] += more
        if not self._of_user[peer.uid]:
            del self._of_user[peer.uid]
        if not self._of_process[peer.uid, peer.pid]:
            del self._of_process[peer.uid, peer.pid]

    def _module(self, peer: Peer, presence: Presence) -> Module:
        from cardd.p11.changes import SlotChanges  # noqa: PLC0415 - with the first program
        from cardd.p11.module import Module  # noqa: PLC0415
        from cardd.p11.tokens import Tokens  # noqa: PLC0415
        from cardd.p11.uses import ProgramUses  # noqa: PLC0415

        if self._tokens is None:
            self._tokens = Tokens(self._readers, self._above)
        name = f"local:{peer.uid}"  # until it uses a key
        program = Caller(CallerKind.LOCAL, name, name, f"urn:cardd:{name}", peer)
        changes = SlotChanges(program, self._tokens, self._events)
        return Module(program, self._tokens, ProgramUses(self._keys, program, presence), changes)

    def _protocol(self, resumes: str | None = None) -> asyncio.BufferedProtocol:
        from cardd.p11.connection import Connection  # noqa: PLC0415 - with the first program

        return Connection(self, resumes)
