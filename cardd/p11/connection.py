"""One connection of a program: p11-kit's handshake, calls one after the other or at once, answers as they are ready.

Calls that name a session are answered in their order; what waits for a card or a person keeps no other session from
going on. Whatever is too large is read, dropped and refused, since a program may not survive that its server hangs up;
what is none of the protocol ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from cardd.core.presence import Presence, waited_for_by
from cardd.p11.calls import CALLS, Call, Of
from cardd.p11.cryptoki import Refused, Rv
from cardd.p11.module import Handler, Module
from cardd.p11.wire import Frames, Malformed, Reader, Request, failure, framed, success
from cardd.worker import Background

if TYPE_CHECKING:
    from cardd.p11.server import P11Server

VERSION = 1  # the highest that is spoken here: of p11-kit 0.25
UNANSWERED_MAX = 64  # calls; further ones are not read meanwhile
AT_ONCE = 16  # calls that one turn of the loop begins to answer, of each connection
UNSENT_MAX = 1024 * 1024  # bytes of answers that the program does not take
HANDLERS: dict[str, Handler] = {call.name: getattr(Module, call.name) for call in CALLS.values()}

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """Serves ``module`` to the program at the other end: None before it is known, and for one that is not served."""

    def __init__(self, server: P11Server) -> None:
        self.module: Module | None = None
        self._server = server
        self._frames = Frames()
        self._has_greeted = False
        self.presence = Presence()
        self._running = Background()
        self._unanswered = 0
        self._requests: deque[Request] = deque()  # that came, and were not looked at
        self._is_malformed = False
        self._is_stuck = False
        self._in_order: dict[int, deque[tuple[int, Call, Reader]]] = {}  # by session: what waits behind what runs
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who is there."""
        transport = cast(asyncio.Transport, transport)  # of a socket, asyncio makes no other
        transport.set_write_buffer_limits(high=UNSENT_MAX)
        self._transport = transport
        self.module = self._server.joined(self, transport.get_extra_info("socket"))
        if self.module is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End all that the program has opened, and what is asked for it."""
        self._transport = None
        if self.module:
            self.module.end()
        self._in_order.clear()
        self._requests.clear()
        self.presence.leave()
        self._server.left(self)

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()

    def pause_writing(self) -> None:
        """Read no more while the program takes no answers."""
        self._is_stuck = True
        self._read_or_wait()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_stuck = False
        self._read_or_wait()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        try:
            if not self._has_greeted:
                self._greet(data[0])
                data = data[1:]
            self._requests.extend(self._frames.feed(data))
        except Malformed:
            self._is_malformed = True
        self._work()

    def _work(self) -> None:
        """Begin to answer a few calls; the others wait for the loop's next turn, as everybody else does."""
        try:
            for _ in range(min(AT_ONCE, len(self._requests))):
                self._take(self._requests.popleft())
        except Malformed:
            self._is_malformed = True
            self._requests.clear()
        if self._requests:
            asyncio.get_running_loop().call_soon(self._work)
        elif self._is_malformed:
            self.close()
        self._read_or_wait()

    def _read_or_wait(self) -> None:
        """Read no more while calls wait, or the program takes no answers."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._requests or self._is_stuck or self._unanswered >= UNANSWERED_MAX:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _greet(self, highest: int) -> None:
        self._has_greeted = True
        self._write(bytes((min(highest, VERSION),)))

    def _take(self, request: Request) -> None:
        """Answer a call, or begin to. Raises Malformed."""
        if request.body is None:
            self._answer(request.tag, failure(Rv.HOST_MEMORY))
            return
        reader = Reader(request.body)
        call = CALLS.get(reader.number)
        if call is None:
            self._answer(request.tag, failure(Rv.FUNCTION_NOT_SUPPORTED))
            return
        if reader.signature != call.request:
            raise Malformed
        waiting = self._in_order.get(reader.first_ulong()) if call.of is Of.SESSION else None
        if waiting is None:
            self._begin(request.tag, call, reader)
        else:
            waiting.append((request.tag, call, reader))
            self._count_unanswered(1)

    def _begin(self, tag: int, call: Call, reader: Reader) -> None:
        """Raises Malformed."""
        if self.module is None:
            return
        try:
            self.module.ensure_begun(call.name)
            answer = HANDLERS[call.name](self.module, reader)
        except Refused as refused:
            self._answer(tag, failure(refused.rv))
            return
        except Malformed:
            raise
        except Exception:  # the program must have its answer
            log.exception("a call of PKCS#11 failed: %s", call.name)
            self._answer(tag, failure(Rv.GENERAL_ERROR))
            return
        if isinstance(answer, bytes):
            self._answer(tag, success(call.number, call.answer, answer))
            return
        session = reader.first_ulong() if call.of is Of.SESSION else None
        if session is not None:
            self._in_order[session] = deque()
        self._count_unanswered(1)
        with waited_for_by(self.presence):
            self._running.start(self._wait(tag, call, session, answer))

    async def _wait(self, tag: int, call: Call, session: int | None, answer: Awaitable[bytes]) -> None:
        """Give the answer when it is there, and go on with what waits behind it in its session."""
        try:
            body = success(call.number, call.answer, await answer)
        except Refused as refused:
            body = failure(refused.rv)
        except Exception:  # the program must have its answer
            log.exception("a call of PKCS#11 failed: %s", call.name)
            body = failure(Rv.GENERAL_ERROR)
        self._count_unanswered(-1)
        self._answer(tag, body)
        if session is not None:
            self._go_on(self._in_order.pop(session, deque()), session)

    def _go_on(self, waiting: deque[tuple[int, Call, Reader]], session: int) -> None:
        """Answer what waited, until a call waits itself: the rest then waits behind that one."""
        while waiting and session not in self._in_order:
            self._count_unanswered(-1)
            try:
                self._begin(*waiting.popleft())
            except Malformed:
                self.close()
                return
        if waiting:
            self._in_order[session].extend(waiting)

    def _count_unanswered(self, more: int) -> None:
        self._unanswered += more
        self._read_or_wait()

    def _answer(self, tag: int, body: bytes) -> None:
        self._write(framed(tag, body))

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)
