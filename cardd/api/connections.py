"""Connections to the API: how long each may take, and how many an OS user may hold.

A connection's other end is looked up once, when the connection is made. Each OS user may hold so many, TCP and Unix
each. When they are all taken, the oldest one over which nothing is asked makes room for a new one: first those that
never asked anything, as a page opens by the hundred, then others, and a client's last. One whose other end takes
nothing of an answer for a while counts as the first, and so does one of nobody's that asks on before the answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, partial
from operator import itemgetter
from typing import cast

from aiohttp import http_parser, web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD

from cardd.api.access import UNIX_HOSTS, tcp_hosts
from cardd.api.answers import COMMON, WholeAnswer
from cardd.api.call import ConnectionInfo
from cardd.api.dispatch import Dispatcher
from cardd.api.handshake import Contexts, CountedConnection, Handshake
from cardd.api.parts import ApiLimits
from cardd.backoff import Throttle
from cardd.model import Peer
from cardd.secret import overwrite
from cardd.worker import Background

LOOK = 0.5  # seconds between two looks whether a caller is still there whose bytes are not read for now
LINGER = 1.0  # how long what was not wanted of a body is read and dropped before the connection is closed
NOBODY = -1  # whose connections nobody's user is known of

_Holder = tuple[int, bool]  # whose connections: OS user, and whether on the Unix socket
PeerOf = Callable[[socket.socket], Peer | None]
HasLeft = Callable[[socket.socket], bool]
IsKnown = Callable[[int], bool]

log = logging.getLogger(__name__)

# aiohttp's parser in C copies all that it keeps of what came
COPIES = http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
UNFINISHED_HEAD_MAX = 32 * 1024  # of what the parser keeps while a head is not whole

_hosts = cache(tcp_hosts)


class Connection(web.RequestHandler):
    """One connection; ``info`` is None when nobody can tell who is at its other end."""

    def __init__(self, server: HttpServer, limits: ApiLimits) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle,
            tcp_keepalive=False,
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way of saying: no access log
            lingering_time=LINGER,
            auto_decompress=False,
        )
        self.info: ConnectionInfo | None = None
        self.descriptor = -1
        self._uses = 0
        self._of_head = 0  # bytes that came of a head that is not whole
        self._stuck_since: float | None = None  # the other end does not take what was written
        self._taking: asyncio.TimerHandle | None = None
        self._has_asked = False
        self._server = server
        self._limits = limits
        self._counted = False
        self._deadline: asyncio.TimerHandle | None = None
        self._hang_ups: list[Callable[[], object]] = []
        self._look: asyncio.TimerHandle | None = None

    def on_hang_up(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``callback`` called when the connection is lost; return a function that takes that back."""
        self._hang_ups.append(callback)
        self._look_later_where_nothing_is_read()
        return partial(self._take_back, callback)

    def _take_back(self, callback: Callable[[], object]) -> None:
        self._hang_ups.remove(callback)
        if not self._hang_ups:
            self._look_no_more()

    def _look_later_where_nothing_is_read(self) -> None:
        is_paused = self.transport is not None and not self.transport.is_reading()
        if is_paused and self._hang_ups and self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK, self._look_whether_left)

    def _look_no_more(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_whether_left(self) -> None:
        """Hang up too where the end of the connection stands behind bytes that nobody reads before the answer."""
        self._look = None
        transport = self.transport
        if transport is None:
            return
        if not transport.is_reading() and self._server.has_left(transport.get_extra_info("socket")):
            transport.abort()
            self._give_up()
            return
        self._look_later_where_nothing_is_read()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who calls, and whether they may hold one more connection."""
        self.descriptor = transport.get_extra_info("socket").fileno()
        self.info = self._server.info_of(transport)
        super().connection_made(transport)
        self._counted = self._server.count(self)
        if not self._counted:
            self.force_close()
            return
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that has begun must be whole soon, and what was read is overwritten: secrets come."""
        waiter, self._waiter = self._waiter, None  # aiohttp's task sleeps on where its help is not needed
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        is_idle = waiter is not None and not waiter.done()
        has_answered = is_idle and bool(self._messages) and self._has_answered_at_once()
        if waiter is not None and self._messages and not waiter.done():
            waiter.set_result(None)
        if COPIES and self._payload_parser is None and data is not self._message_tail:  # where an upgrade is decided
            overwrite(data)
        if has_answered:
            self._of_head = 0
            return
        self._look_later_where_nothing_is_read()
        if self._deadline is None and not self._uses and not self._messages:
            self._expect_head()
        self._measure_head(len(data))

    def _has_answered_at_once(self) -> bool:
        """Answer the one request that came, here and now, where nothing is waited for; return whether it was.

        aiohttp makes a task of each request, which begins and ends in two more turns of the loop.
        """
        (message, payload), parser, task = self._messages[0], self._parser, self._task_handler
        if len(self._messages) > 1 or payload is not EMPTY_PAYLOAD or not isinstance(message, RawRequestMessage):
            return False
        if parser is None or task is None or message.should_close or message.upgrade or self.writing_paused:
            return False
        if not self._server.is_at_once(message.method, message.path):
            return False
        http = self._server.request_factory(message, payload, self, StreamWriter(self, self._loop), task)
        answer = self._server.answer_at_once(http, self)
        if answer is None:
            return False
        self._messages.clear()
        parser.message_consumed()
        self._expect_nothing()
        self._has_asked = True
        with suppress(ConnectionError):  # nobody is left to read it
            answer.write(http)
        self._stay_a_while()
        return True

    def _stay_a_while(self) -> None:
        """Hang up when nothing is asked for as long as aiohttp waits after an answer of its own."""
        self._keepalive = True
        self._next_keepalive_close_time = self._loop.time() + self._limits.idle
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    def _measure_head(self, size: int) -> None:
        """Hang up on a head that grows and grows; what comes while none is waited for is of a body."""
        self._of_head = 0 if self._waiter is None or self._messages else self._of_head + size
        if self._of_head > UNFINISHED_HEAD_MAX:
            self._give_up()

    def begin_use(self) -> None:
        """Begin what is done for a request, whose head is whole."""
        self._expect_nothing()
        self._has_asked = True
        self._uses += 1

    def end_use(self) -> None:
        """End what ``begin_use`` began."""
        self._uses -= 1

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer; until it is out, the connection is used."""
        self.begin_use()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.end_use()

    @property
    def worth(self) -> int | None:
        """How late this connection makes room for another one; None while it is used."""
        asked = len(self._messages) + bool(self._uses)
        if self._takes_nothing or (asked > 1 and not self._is_clients):  # who asks without end is never idle
            return 0
        if self._uses:
            return None
        if self._is_clients:
            return 2
        return 1 if self._has_asked else 0

    def pause_writing(self) -> None:
        """Note since when the other end takes nothing."""
        self._stuck_since = asyncio.get_running_loop().time()
        self._expect_taken()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on: it has taken what there was."""
        self._stuck_since = None
        self._expect_nothing_taken()
        super().resume_writing()

    def _expect_taken(self) -> None:
        self._taking = asyncio.get_running_loop().call_later(self._limits.write_timeout, self._drop_listener)

    def _expect_nothing_taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _drop_listener(self) -> None:
        """Hang up on a listener that takes nothing; another answer may be left, and a listener's may follow it."""
        if self.info is not None and self.info.listens:
            self._give_up()
        else:
            self._expect_taken()

    @property
    def _is_clients(self) -> bool:
        return self.info is not None and self.info.has_client

    @property
    def _takes_nothing(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._stuck_since is not None and now - self._stuck_since > self._limits.write_timeout

    def make_room(self) -> None:
        """Hang up for another connection of the same user."""
        self._give_up()

    def _expect_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(self._limits.head, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._expect_nothing()
        self._uncount()
        transport = self.transport
        self.force_close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # closing waits until all is taken, over TLS until the other end says goodbye

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self._server.discount(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Call whoever waits for the end of this connection."""
        self._expect_nothing()
        self._expect_nothing_taken()
        self._look_no_more()
        self._uncount()
        for callback in list(self._hang_ups):
            callback()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - the parameters are aiohttp's
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Refuse what is not HTTP, or too long for a request's head, without a word."""
        if status >= 500:
            log.error("a request failed where nothing should", exc_info=exc)
        response = web.Response(status=status, headers=COMMON)
        response.force_close()
        return response


class HttpServer(web.Server):
    """The factory of connections, which counts them by OS user, TCP and Unix each."""

    def __init__(
        self, dispatcher: Dispatcher, peer_of: PeerOf, has_left: HasLeft, is_known: IsKnown, limits: ApiLimits
    ) -> None:
        super().__init__(self._answer)
        self._dispatcher = dispatcher
        self._peer_of = peer_of
        self._is_known = is_known
        self.has_left = has_left
        self._limits = limits
        self.handshakes = Background()
        self._held: dict[_Holder, dict[CountedConnection, None]] = {}  # in the order in which they were made
        self._scarce = Throttle(partial(log.warning, "the process has few file descriptors left: %d connections more"))

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a connection about to be made."""
        return Connection(self, self._limits)

    def over(self, contexts: Contexts) -> Callable[[], asyncio.Protocol]:
        """Return what makes the protocols of connections that shake hands first."""
        return lambda: Handshake(self, contexts, self.handshakes, self._limits.head)

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        connection = cast(Connection, http.protocol)  # this server makes no other
        connection.begin_use()
        try:
            answer = await self._dispatcher.answer(http, connection.info, connection.on_hang_up)
            return cast(web.StreamResponse, answer)
        finally:
            connection.end_use()

    def is_at_once(self, method: str, target: str) -> bool:
        """Return whether this may be answered by ``answer_at_once``."""
        return self._dispatcher.is_at_once(method, target)

    def answer_at_once(self, http: web.BaseRequest, connection: Connection) -> WholeAnswer | None:
        """Return the answer to what waits for nothing; None where it is to be answered as any other."""
        return self._dispatcher.answer_at_once(http, connection.info, connection.on_hang_up)

    def info_of(self, transport: asyncio.BaseTransport) -> ConnectionInfo | None:
        """Return what is known of a new connection; None when nobody can tell who is at its other end."""
        sock: socket.socket = transport.get_extra_info("socket")
        peer = self._peer_of(sock)
        if peer is None:
            return None
        if sock.family == socket.AF_UNIX:
            return ConnectionInfo(True, UNIX_HOSTS, peer)
        return ConnectionInfo(False, _hosts(sock.getsockname()[1]), peer)

    def count(self, connection: CountedConnection) -> bool:
        """Count one more connection of its user; return False when there is no room for it.

        Where the process runs out of descriptors, who holds most makes room. One person may come as thousands of OS
        users (subuid(5)): half of the descriptors are for users who are known.
        """
        is_scarce = connection.descriptor >= self._limits.descriptors
        holder = _holder(connection)
        is_crowd = connection.descriptor >= self._limits.descriptors // 2 and not self._is_known(holder[0])
        if is_scarce or is_crowd:
            self._scarce.note()
        mine = self._held.get(holder, {})
        is_full = is_crowd or len(mine) >= self._limits.connections
        crowd = mine if is_full or not self._held else max(self._held.values(), key=len)
        if (is_full or is_scarce) and not _has_made_room(crowd):
            return False
        self._held.setdefault(holder, {})[connection] = None
        return True

    def discount(self, connection: CountedConnection) -> None:
        """Count one less."""
        holder = _holder(connection)
        del self._held[holder][connection]
        if not self._held[holder]:
            del self._held[holder]


def _has_made_room(crowd: Iterable[CountedConnection]) -> bool:
    """Hang up on the one that is worth least, of those worth the same the oldest; return False where all are used."""
    idle = [(worth, one) for one in crowd if (worth := one.worth) is not None]
    if idle:
        min(idle, key=itemgetter(0))[1].make_room()
    return bool(idle)


def _holder(connection: CountedConnection) -> _Holder:
    info = connection.info
    return (info.peer.uid, info.is_local) if info else (NOBODY, False)
