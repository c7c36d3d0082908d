"""One context of a module's at pcscd: what the gate makes of what libpcsclite and pcscd say to each other.

Of another protocol than is known nothing is understood, and the bytes pass as they are.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from cardd.values import Record, Value
from cardd_drivers.pkcs11 import messages as pcscd
from cardd_drivers.pkcs11.messages import Command, Ended, exactly, states_in, text
from cardd_drivers.pkcs11.pcsc import means

BUSY_PAUSE = 0.05  # seconds between two attempts at a card that another program has


class Limits(Value):
    """How many seconds a message that has begun may take, and another program's use of a card: a call has 20."""

    message: float = 5.0
    busy: float = 10.0


class Connected(Record):
    """One connection to a card; ``answer`` is what the module was told of it. A dropped one waits to be taken again.

    ``is_alone`` says that no other program gets in beside it, ``has_begun`` that a transaction of its own stands.
    """

    reader: str
    answer: bytes
    is_dropped: bool = False
    is_alone: bool = False
    has_begun: bool = False


class ContextsGate(Protocol):
    """The gate, as one of its contexts sees it."""

    limits: Limits
    lock: threading.RLock
    on_lost: Callable[[], None]
    shown: frozenset[str]
    busy: set[str]

    def is_claimed(self, reader: str) -> bool:
        """Return whether a claim on the reader stands."""
        ...

    def end_kept(self, reader: str, disposition: int, but: int | None = None) -> None:
        """End the transactions that are kept open on the reader, but that of one handle."""
        ...

    def seen(self, reader: str) -> None:
        """Note that there is a PC/SC reader of this name."""
        ...

    def forget(self, context: Context) -> None:
        """Drop a context that has ended."""
        ...


class Context:
    """One connection of libpcsclite's: a context of the module's, with its handles.

    Questions and answers take turns, but for the event that ends a wait. Everything is done under the gate's lock; the
    daemon's own questions come between two of the module's.
    """

    def __init__(self, gate: ContextsGate, client: socket.socket, server: socket.socket) -> None:
        self._gate = gate
        self._client = client
        self._server = server
        client.settimeout(gate.limits.message)
        self._minor = pcscd.MINOR_FIRST
        self._has_agreed = False
        self._slots = pcscd.READERS
        self._nudged, self._nudge = socket.socketpair()
        self._is_waiting = False
        self._is_known = True
        self._is_dropped = False
        self._busy_since: dict[int, float] = {}
        self._handles: dict[int, Connected] = {}
        self._kept: set[int] = set()

    def run(self) -> None:
        """Pass messages until one of the two leaves."""
        poll = select.poll()
        for side in (self._client, self._server, self._nudged):
            poll.register(side, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if not self._is_known:
                    self._pass(ready)
                    continue
                with self._gate.lock:
                    if self._nudged.fileno() in ready:
                        self._nudged.recv(pcscd.BODY_MAX)
                        self._wake()
                        self._let_go()
                    elif self._server.fileno() in ready:
                        self._hear()
                    elif self._client.fileno() in ready:
                        self._answer()
        except (OSError, Ended, struct.error):
            pass
        finally:
            self._gate.forget(self)
            for side in (self._client, self._server, self._nudged, self._nudge):
                side.close()

    def handles_of(self, reader: str) -> list[int]:
        """Return the handles on this reader."""
        return [handle for handle, connected in self._handles.items() if means(reader, connected.reader)]

    def kept_of(self, reader: str) -> list[int]:
        """Return the handles on this reader whose transactions are kept open."""
        return [handle for handle in self._kept if means(reader, self._reader_of(handle))]

    def begin(self, handle: int) -> int:
        """Begin a transaction to keep; return PC/SC's code."""
        if handle in self._kept:
            return pcscd.OK
        self._wake()
        reader = self._reader_of(handle)
        self._gate.end_kept(reader, pcscd.LEAVE, but=handle)
        answer = self._ask(Command.BEGIN, pcscd.TRANSACTION_BEGIN.pack(handle, pcscd.OK), pcscd.TRANSACTION_BEGIN.size)
        code: int = pcscd.TRANSACTION_BEGIN.unpack(answer)[1]
        if code == pcscd.OK and self._gate.is_claimed(reader):
            self._kept.add(handle)
        if code == pcscd.OK and handle in self._handles:
            self._handles[handle].has_begun = True
        return code

    def end(self, handle: int, disposition: int) -> int:
        """End a transaction, and a connection that the module has dropped in it; return PC/SC's code."""
        self._wake()
        self._kept.discard(handle)
        answer = self._ask(
            Command.END, pcscd.TRANSACTION_END.pack(handle, disposition, pcscd.OK), pcscd.TRANSACTION_END.size
        )
        code: int = pcscd.TRANSACTION_END.unpack(answer)[2]
        if connected := self._handles.get(handle):
            connected.has_begun = False
            if connected.is_dropped:
                self._drop(handle)
        return code

    def nudge(self) -> None:
        """Have a wait for changes end, from any thread: the module reads the readers' states anew."""
        with contextlib.suppress(OSError):
            self._nudge.send(b"!", socket.MSG_DONTWAIT)

    def hang_up(self) -> None:
        """Have the context end, whatever it waits for."""
        self._is_dropped = True
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        """Give up what keeps others from a reader that is left to the module no more, as after a swap of cards."""
        for handle, connected in list(self._handles.items()):
            if connected.reader not in self._gate.shown and (connected.is_alone or connected.has_begun):
                self._drop(handle)

    def _drop(self, handle: int) -> None:
        """End a connection at pcscd; the module may still think that it has it."""
        del self._handles[handle]
        self._kept.discard(handle)
        self._ask(
            Command.DISCONNECT, pcscd.TRANSACTION_END.pack(handle, pcscd.LEAVE, pcscd.OK), pcscd.TRANSACTION_END.size
        )

    def _wake(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._client.sendall(self._ask(Command.STOP_WAITING, b"", pcscd.EVENT.size))

    def _pass(self, ready: set[int]) -> None:
        for one, other in ((self._client, self._server), (self._server, self._client)):
            if one.fileno() in ready:
                data = one.recv(pcscd.BODY_MAX)
                if not data:
                    raise Ended
                other.sendall(data)

    def _hear(self) -> None:
        """Take what pcscd says unasked: the event that ends a wait, or its end."""
        try:
            begun = self._server.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # the daemon's own question took it
        if not begun or not self._is_waiting:
            if not self._is_dropped:
                self._gate.on_lost()
            raise Ended
        self._is_waiting = False
        self._client.sendall(exactly(self._server, pcscd.EVENT.size))

    def _answer(self) -> None:
        """Take one question of the module's."""
        size, command = pcscd.HEADER.unpack(exactly(self._client, pcscd.HEADER.size))
        if size > pcscd.BODY_MAX:
            raise Ended
        body = exactly(self._client, size)
        own: dict[int, Callable[[int, bytes], object]] = {
            Command.VERSION: self._agree,
            Command.CONNECT: self._connect,
            Command.RECONNECT: self._reconnect,
            Command.DISCONNECT: self._disconnect,
            Command.RELEASE_CONTEXT: self._release,
            Command.BEGIN: self._answer_begin,
            Command.END: self._answer_end,
            Command.TRANSMIT: self._transmit,
            Command.CONTROL: self._transmit,
            Command.EVENTS: self._count_events,
            Command.STOP_WAITING: self._stop_waiting,
            Command.STATES: self._tell_states,
            Command.STATES_ARRAY: self._tell_states,
            Command.STATES_SIZE: self._tell_size,
            Command.WAIT: self._wait,
        }
        own.get(command, self._relay)(command, body)

    def _agree(self, _: int, body: bytes) -> None:
        wanted = pcscd.VERSION.unpack(body)[:2]
        if self._has_agreed or wanted < (
            pcscd.PROTOCOL,
            pcscd.MINOR_FIRST,
        ):  # an older protocol would lead past the gate
            raise Ended
        answer = self._ask(Command.VERSION, body, pcscd.VERSION.size)
        major, minor, code = pcscd.VERSION.unpack(answer)
        self._minor = min(wanted[1], minor)
        self._has_agreed = True
        if code == pcscd.OK:
            self._is_known = major == pcscd.PROTOCOL and pcscd.MINOR_FIRST <= self._minor <= pcscd.MINOR_LAST
        self._client.sendall(answer)

    def _connect(self, _: int, body: bytes) -> None:
        *asked, _ = pcscd.CONNECT.unpack(body)
        reader = text(asked[1])
        if asked[2] != pcscd.DIRECT and reader not in self._gate.shown:
            self._client.sendall(pcscd.CONNECT.pack(*asked, pcscd.NO_CARD))
            return
        for connected in self._handles.values():
            if connected.is_dropped and connected.reader == reader:
                connected.is_dropped = False
                self._client.sendall(connected.answer)
                return
        answer = self._ask(Command.CONNECT, body, pcscd.CONNECT.size)
        told = pcscd.CONNECT.unpack(answer)
        if told[6] == pcscd.SHARING_VIOLATION:
            self._gate.busy.add(reader)  # another program has the reader for itself
        if told[6] == pcscd.OK:
            self._handles[told[4]] = Connected(reader, answer, is_alone=asked[2] == pcscd.EXCLUSIVE)
        self._client.sendall(answer)

    def _reconnect(self, command: int, body: bytes) -> None:
        handle, share, *_ = pcscd.RECONNECT.unpack(body)
        if self._relay(command, body) == pcscd.OK and handle in self._handles:
            self._handles[handle].is_alone = share == pcscd.EXCLUSIVE

    def _disconnect(self, command: int, body: bytes) -> None:
        """Drop a connection; with a transaction that is kept open it stays for the module's next one."""
        handle, disposition, _ = pcscd.TRANSACTION_END.unpack(body)
        if handle in self._kept and disposition == pcscd.LEAVE:
            self._handles[handle].is_dropped = True
            self._client.sendall(body)
            return
        if self._is_hidden(handle):
            self._drop(handle)
            self._client.sendall(pcscd.TRANSACTION_END.pack(handle, disposition, pcscd.OK))
            return
        self._relay(command, body)
        self._handles.pop(handle, None)
        self._kept.discard(handle)

    def _release(self, command: int, body: bytes) -> None:
        self._relay(command, body)
        self._handles.clear()
        self._kept.clear()

    def _answer_begin(self, _: int, body: bytes) -> None:
        handle = pcscd.TRANSACTION_BEGIN.unpack(body)[0]
        code = pcscd.NO_CARD if self._is_hidden(handle) else self._begin(handle)
        self._client.sendall(pcscd.TRANSACTION_BEGIN.pack(handle, code))

    def _begin(self, handle: int) -> int:
        """Begin a transaction for the module."""
        return self._in_time(handle, self.begin(handle))

    def _in_time(self, handle: int, code: int) -> int:
        """Return a code to tell the module: libpcsclite asks again and again while another program has the card."""
        if code == pcscd.SHARING_VIOLATION:
            begun = self._busy_since.setdefault(handle, time.monotonic())
            reader = self._reader_of(handle)
            if time.monotonic() - begun < self._gate.limits.busy and reader not in self._gate.busy:
                return code
            self._gate.busy.add(reader)
            code = pcscd.TIMEOUT
        self._busy_since.pop(handle, None)
        return code

    def _answer_end(self, _: int, body: bytes) -> None:
        handle, disposition, _ = pcscd.TRANSACTION_END.unpack(body)
        stays = handle in self._kept and disposition == pcscd.LEAVE
        code = pcscd.NO_CARD if self._is_hidden(handle) else pcscd.OK if stays else self.end(handle, disposition)
        self._client.sendall(pcscd.TRANSACTION_END.pack(handle, disposition, code))

    def _transmit(self, command: int, body: bytes) -> None:
        """Pass bytes for the card or the reader; within a claim only in its transaction."""
        form, sent, received = (pcscd.TRANSMIT, 3, 6) if command == Command.TRANSMIT else (pcscd.CONTROL, 2, 4)
        fields = form.unpack(body)
        handle, size = fields[0], fields[sent]
        if size > pcscd.DATA_MAX:
            raise Ended
        data = exactly(self._client, size)
        is_question = form is pcscd.CONTROL and fields[1] == pcscd.FEATURES
        code = pcscd.NO_CARD if self._is_hidden(handle) and not is_question else pcscd.OK
        if code == pcscd.OK and self._gate.is_claimed(self._reader_of(handle)):
            while (code := self._begin(handle)) == pcscd.SHARING_VIOLATION:
                time.sleep(BUSY_PAUSE)
        if code != pcscd.OK:
            self._client.sendall(form.pack(*fields[:-1], code))
            return
        answer = self._ask(command, body, form.size, data)
        told = form.unpack(answer)
        if told[-1] == pcscd.OK:
            if told[received] > pcscd.DATA_MAX:
                raise Ended
            answer += exactly(self._server, told[received])
        self._client.sendall(answer)

    def _count_events(self, command: int, body: bytes) -> None:
        self._client.sendall(self._ask(command, body, pcscd.EVENT.size))

    def _stop_waiting(self, *_: object) -> None:
        self._wake()  # where nobody waits any more, the event has been told, and pcscd would say nothing

    def _tell_size(self, command: int, body: bytes) -> None:
        answer = self._ask(command, body, 4)
        self._slots = int.from_bytes(answer, sys.byteorder, signed=True)
        if not 0 <= self._slots <= pcscd.READERS_MAX:
            raise Ended
        self._client.sendall(answer)

    def _wait(self, command: int, body: bytes) -> None:
        self._tell_states(command, body)
        self._is_waiting = True

    def _tell_states(self, command: int, body: bytes) -> None:
        slots = self._slots if command == Command.STATES_ARRAY else pcscd.READERS
        if command == Command.WAIT and self._minor > pcscd.STATES_WITH_WAIT:
            slots = 0
        states = self._ask(command, body, slots * pcscd.STATE.size)
        self._client.sendall(b"".join(map(self._as_shown, states_in(states))))

    def _as_shown(self, state: bytes) -> bytes:
        """Return a reader's state as the module is to see it: a card that is not left to it is not there."""
        name, _, flags, *_ = pcscd.STATE.unpack(state)
        reader = text(name)
        if not reader:
            return state
        self._gate.seen(reader)
        if reader in self._gate.shown or not flags & pcscd.PRESENT:
            return state
        return pcscd.STATE.pack(name, 0, pcscd.ABSENT, 0, b"", 0, 0)

    def _is_hidden(self, handle: int) -> bool:
        return handle in self._handles and self._reader_of(handle) not in self._gate.shown

    def _reader_of(self, handle: int) -> str:
        return self._handles[handle].reader if handle in self._handles else ""

    def _relay(self, command: int, body: bytes) -> int:
        """Pass a question and its answer, which ends with PC/SC's code; most begin with a handle. Return the code."""
        handle = int.from_bytes(body[:4], sys.byteorder, signed=True)
        if self._is_hidden(handle) and command not in pcscd.HARMLESS:
            answer, code = body, pcscd.NO_CARD
        else:
            answer = self._ask(command, body, len(body))
            code = int.from_bytes(answer[-4:], sys.byteorder)
        if code == pcscd.SHARING_VIOLATION:
            code = self._in_time(handle, code)
        self._client.sendall(answer[:-4] + code.to_bytes(4, sys.byteorder))
        return code

    def _ask(self, command: int, body: bytes, size: int, data: bytes = b"") -> bytes:
        """Ask pcscd, and return an answer of this size."""
        self._server.sendall(pcscd.HEADER.pack(len(body), command) + body + data)
        return exactly(self._server, size)
