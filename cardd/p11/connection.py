"""One connection of a program: p11-kit's handshake, calls one after the other or at once, answers as they are ready.

Calls that name a session are answered in their order; what waits for a card or a person keeps no other session from
going on. Whatever is too large is read, dropped and refused, since a program may not survive that its server hangs up;
what is none of the protocol ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from cardd.core.presence import Presence, waited_for_by
from cardd.errors import SessionClosed
from cardd.model import Plain
from cardd.p11.calls import CALLS, Call, Of
from cardd.p11.cryptoki import Refused, Rv
from cardd.p11.module import Handler, Module
from cardd.p11.wire import Frames, Malformed, Reader, Request, failure, framed, success
from cardd.request import Request as Asked
from cardd.request import current, working_on
from cardd.worker import Background

if TYPE_CHECKING:
    from cardd.p11.server import P11Server

# Of all connections: each takes what is in it before the loop reads for another one. asyncio's own way to read makes
# room for 256 KiB at each call, which takes longer than most answers.
READ = bytearray(32 * 1024)
VERSION = 1  # the highest that is spoken here: of p11-kit 0.25
UNANSWERED_MAX = 64  # calls; further ones are not looked at meanwhile
UNSENT_MAX = 128 * 1024  # bytes of answers that the program does not take, and one answer more
OTHERS_BODY_MAX = 64 * 1024  # bytes of one call of a user whose the readers are not
LOOK = 0.5  # seconds between two looks whether a program is still there whose bytes are not read for now
HANDLERS: dict[str, Handler] = {call.name: getattr(Module, call.name) for call in CALLS.values()}

OK, FAILED = 200, 500  # as HTTP counts answers

log = logging.getLogger(__name__)


class Connection(asyncio.BufferedProtocol):
    """Serves ``module`` to the program at the other end: None before it is known, and for one that is not served.

    ``resumes`` is the name of the process with which a connection comes from the daemon before this one.
    """

    def __init__(self, server: P11Server, resumes: str | None = None) -> None:
        self.module: Module | None = None
        self._server = server
        self._resumes = resumes
        self._frames = Frames()
        self._has_greeted = False
        self.presence = Presence()
        self._running = Background()
        self._unanswered = 0
        self._is_in_line = False  # for its turn to have a call answered
        self._is_stuck = False
        self._rests = False
        self._look: asyncio.TimerHandle | None = None
        self._in_order: dict[int, deque[tuple[int, Call, Reader]]] = {}  # by session: what waits behind what runs
        self._due: deque[int] = deque()  # sessions in which nothing runs and something waits
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who is there."""
        transport = cast(asyncio.Transport, transport)  # of a socket, asyncio makes no other
        transport.set_write_buffer_limits(high=UNSENT_MAX)
        self._transport = transport
        self.module = self._server.joined(self, transport.get_extra_info("socket"), self._resumes)
        if self.module is not None and self._resumes:
            self._has_greeted = True
            self.module.resume()
        if self.module is None:
            transport.abort()
        elif not self._server.is_owners(self):
            self._frames = Frames(OTHERS_BODY_MAX)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End all that the program has opened, and what is asked for it."""
        self._transport = None
        if self.module:
            self.module.end()
        self._in_order.clear()
        self._due.clear()
        self.presence.leave()
        self._server.left(self)

    def rest(self) -> None:
        """Take no further call; those that came are answered, and nobody is asked for one any more."""
        self._rests = True
        if self.module:
            self.module.changes.renew()
        self.presence.revoke(SessionClosed(reason="daemon_stopped"), is_by_caller=False)
        self._read_or_wait()

    @property
    def is_at_rest(self) -> bool:
        """Whether each call that came has its answer."""
        if self._transport is None or self._transport.is_closing():
            return True
        is_answering = self._unanswered or self._is_in_line or self._transport.get_write_buffer_size()
        return not is_answering and self._frames.is_empty

    def hand_over(self, keep: Callable[[int], bool]) -> None:
        """Let go of it: the program goes on with the next daemon where ``keep`` keeps it.

        A call that was not answered, or came in part, ends it: the next daemon would not know of that.
        """
        if self._transport and self.is_at_rest and self.module and self.module.is_begun:
            keep(self._transport.get_extra_info("socket").fileno())
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()

    def pause_writing(self) -> None:
        """Answer no more while the program takes no answers."""
        self._is_stuck = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_stuck = False
        self._line_up()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's
        """Return where the next bytes go."""
        return READ

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        data = memoryview(READ)[:nbytes]
        if not self._has_greeted:
            self._greet(data[0])
            data = data[1:]
        self._frames.add(data)
        self._line_up()

    def _line_up(self) -> None:
        """Wait for a turn to have a call answered, where one can be."""
        if not self._is_in_line and self._can_answer:
            self._is_in_line = True
            self._server.line_up(self)
        self._read_or_wait()

    def take_one(self) -> bool:
        """Answer a call, or begin to; return whether there may be another one."""
        self._is_in_line = self._can_answer and self._take_next()
        if not self._is_in_line:
            self._read_or_wait()
        return self._is_in_line

    @property
    def _can_answer(self) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        return not self._is_stuck and (bool(self._due) or self._unanswered < UNANSWERED_MAX)

    def _read_or_wait(self) -> None:
        """Read no more while calls wait, or while none can be answered."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_in_line or not self._can_answer or (self._rests and self._frames.is_empty):
            self._transport.pause_reading()
            if self._unanswered and self._look is None:
                self._look = asyncio.get_running_loop().call_later(LOOK, self._look_whether_left)
        else:
            self._transport.resume_reading()

    def _look_whether_left(self) -> None:
        """Hang up too where the end of the connection stands behind calls that are not read before an answer."""
        self._look = None
        if self._transport is None or self._transport.is_reading():
            return
        if self._server.has_left(self._transport.get_extra_info("socket")):
            self._transport.abort()
        else:
            self._read_or_wait()

    def _take_next(self) -> bool:
        try:
            if self._due:
                self._begin_due(self._due.popleft())
                return True
            request = self._frames.take()
            if request is not None:
                self._take(request)
        except Malformed:
            self.close()
            return False
        return request is not None

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
        self._begin_in_order(request.tag, call, reader)

    def _begin_in_order(self, tag: int, call: Call, reader: Reader) -> None:
        """Raises Malformed."""
        session = reader.first_ulong() if call.of is Of.SESSION else None
        if session in self._in_order:
            self._in_order[session].append((tag, call, reader))
            self._unanswered += 1
        else:
            self._begin(tag, call, reader, session)

    def _begin_due(self, session: int) -> None:
        """Answer the first call that waits in a session, or begin to; the others keep their order. Raises Malformed."""
        self._unanswered -= 1
        if not self._begin(*self._in_order[session].popleft(), session):
            self._go_on(session)

    def _go_on(self, session: int) -> None:
        """Have what waits in a session be next, in this program's turns."""
        if self._in_order.get(session):
            self._due.append(session)
        else:
            self._in_order.pop(session, None)

    def _begin(self, tag: int, call: Call, reader: Reader, session: int | None) -> bool:
        """Answer a call, or begin to; return whether it runs on. Raises Malformed."""
        if self.module is None:
            return False
        try:
            self.module.ensure_begun(call.name)
            answer = HANDLERS[call.name](self.module, reader)
        except Refused as refused:
            self._answer(tag, failure(refused.rv))
            return False
        except Malformed:
            raise
        except Exception:  # the program must have its answer
            log.exception("a call of PKCS#11 failed: %s", Plain(call.name))
            self._answer(tag, failure(Rv.GENERAL_ERROR))
            return False
        if isinstance(answer, bytes):
            self._answer(tag, success(call.number, call.answer, answer))
            return False
        if session is not None:
            self._in_order.setdefault(session, deque())
        self._unanswered += 1
        asked = Asked(self._server.observer, name=f"PKCS#11 {call.name}", lasts=call.lasts)
        with waited_for_by(self.presence), working_on(asked):
            self._running.start(self._wait(tag, call, session, answer))
        return True

    async def _wait(self, tag: int, call: Call, session: int | None, answer: Awaitable[bytes]) -> None:
        """Give the answer when it is there; what waits behind it in its session is next."""
        is_done = False
        try:
            body = success(call.number, call.answer, await answer)
            is_done = True
        except Refused as refused:
            body = failure(refused.rv)
        except Exception:  # the program must have its answer
            log.exception("a call of PKCS#11 failed: %s", Plain(call.name))
            body = failure(Rv.GENERAL_ERROR)
        self._unanswered -= 1
        self._answer(tag, body)
        if asked := current():
            self._server.observer.ended(asked, OK if is_done else FAILED)
        if session is not None:
            self._go_on(session)
        self._line_up()

    def _answer(self, tag: int, body: bytes) -> None:
        self._write(framed(tag, body))

    def _write(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)
