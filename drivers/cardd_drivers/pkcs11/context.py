"""One context of a module's at pcscd: what libpcsclite and pcscd say to each other, and what the gate makes of it.

Source: pcsc-lite's winscard_msg.h, winscard_svc.c and readers.h, protocols 4:4 (1.9) to 4:6 (2.4). Of another protocol
nothing is understood, and the bytes pass as they are.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from cardd_drivers.pkcs11.pcsc import means

if TYPE_CHECKING:
    from cardd_drivers.pkcs11.gate import Gate

PROTOCOL, MINOR_FIRST, MINOR_LAST = 4, 4, 6
STATES_WITH_WAIT = 5  # the last minor version whose answer to a wait begins with the readers' states
BODY_MAX = 4096
DATA_MAX = 65548  # MAX_BUFFER_SIZE_EXTENDED
READERS, READERS_MAX = 16, 1024
BUSY_PAUSE = 0.05  # seconds between two attempts at a card that another program has

OK, TIMEOUT, SHARING_VIOLATION, NO_CARD = 0, 0x8010000A, 0x8010000B, 0x8010000C
EXCLUSIVE, DIRECT = 1, 3  # share modes
LEAVE, RESET = 0, 1  # dispositions
FEATURES = 0x42000000 + 3400  # CM_IOCTL_GET_FEATURE_REQUEST (PC/SC part 10): what the reader can do
ABSENT, PRESENT = 0x02, 0x04

HEADER = struct.Struct("=II")
VERSION = struct.Struct("=iiI")
CONNECT = struct.Struct("=I128sIIiII")
RECONNECT = struct.Struct("=iIIIII")
TRANSACTION_END = struct.Struct("=iII")
TRANSACTION_BEGIN = struct.Struct("=iI")
TRANSMIT = struct.Struct("=iIIIIIII")
CONTROL = struct.Struct("=iIIIII")
EVENT = struct.Struct("=II")
STATE = struct.Struct("=128sIIi33s3xII")


class Command(IntEnum):
    """The messages that the gate treats apart; the answer to each other one is as long as the question."""

    ESTABLISH_CONTEXT = 0x01
    RELEASE_CONTEXT = 0x02
    CONNECT = 0x04
    RECONNECT = 0x05
    DISCONNECT = 0x06
    BEGIN = 0x07
    END = 0x08
    TRANSMIT = 0x09
    CONTROL = 0x0A
    STATUS = 0x0B
    CANCEL = 0x0D
    GET_ATTRIB = 0x0F
    VERSION = 0x11
    STATES = 0x12
    WAIT = 0x13
    STOP_WAITING = 0x14
    EVENTS = 0x15
    STATES_SIZE = 0x16
    STATES_ARRAY = 0x17


@dataclass(frozen=True, slots=True)
class Limits:
    """How many seconds a message that has begun may take, and another program's use of a card: a call has 20."""

    message: float = 5.0
    busy: float = 10.0


# what may be asked of a reader that is not left to the module: nothing that the card or another program notices
HARMLESS = (Command.STATUS, Command.GET_ATTRIB, Command.CANCEL, Command.ESTABLISH_CONTEXT)


@dataclass(slots=True)
class Connected:
    """One connection to a card; ``answer`` is what the module was told of it. A dropped one waits to be taken again.

    ``is_alone`` says that no other program gets in beside it, ``has_begun`` that a transaction of its own stands.
    """

    reader: str
    answer: bytes
    is_dropped: bool = False
    is_alone: bool = False
    has_begun: bool = False


class Ended(Exception):
    """One of the two has left, or says what cannot be."""


class Context:
    """One connection of libpcsclite's: a context of the module's, with its handles.

    Questions and answers take turns, but for the event that ends a wait. Everything is done under the gate's lock; the
    daemon's own questions come between two of the module's.
    """

    def __init__(self, gate: Gate, client: socket.socket, server: socket.socket) -> None:
        self._gate = gate
        self._client = client
        self._server = server
        client.settimeout(gate.limits.message)
        self._minor = MINOR_FIRST
        self._has_agreed = False
        self._slots = READERS
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
                        self._nudged.recv(BODY_MAX)
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
            return OK
        self._wake()
        reader = self._reader_of(handle)
        self._gate.end_kept(reader, LEAVE, but=handle)
        answer = self._ask(Command.BEGIN, TRANSACTION_BEGIN.pack(handle, OK), TRANSACTION_BEGIN.size)
        code: int = TRANSACTION_BEGIN.unpack(answer)[1]
        if code == OK and self._gate.is_claimed(reader):
            self._kept.add(handle)
        if code == OK and handle in self._handles:
            self._handles[handle].has_begun = True
        return code

    def end(self, handle: int, disposition: int) -> int:
        """End a transaction, and a connection that the module has dropped in it; return PC/SC's code."""
        self._wake()
        self._kept.discard(handle)
        answer = self._ask(Command.END, TRANSACTION_END.pack(handle, disposition, OK), TRANSACTION_END.size)
        code: int = TRANSACTION_END.unpack(answer)[2]
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
        self._ask(Command.DISCONNECT, TRANSACTION_END.pack(handle, LEAVE, OK), TRANSACTION_END.size)

    def _wake(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._client.sendall(self._ask(Command.STOP_WAITING, b"", EVENT.size))

    def _pass(self, ready: set[int]) -> None:
        for one, other in ((self._client, self._server), (self._server, self._client)):
            if one.fileno() in ready:
                data = one.recv(BODY_MAX)
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
        self._client.sendall(_exactly(self._server, EVENT.size))

    def _answer(self) -> None:
        """Take one question of the module's."""
        size, command = HEADER.unpack(_exactly(self._client, HEADER.size))
        if size > BODY_MAX:
            raise Ended
        body = _exactly(self._client, size)
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
        wanted = VERSION.unpack(body)[:2]
        if self._has_agreed or wanted < (PROTOCOL, MINOR_FIRST):  # an older protocol would lead past the gate
            raise Ended
        answer = self._ask(Command.VERSION, body, VERSION.size)
        major, minor, code = VERSION.unpack(answer)
        self._minor = min(wanted[1], minor)
        self._gate.is_used = self._has_agreed = True
        if code == OK:
            self._is_known = major == PROTOCOL and MINOR_FIRST <= self._minor <= MINOR_LAST
        self._client.sendall(answer)

    def _connect(self, _: int, body: bytes) -> None:
        *asked, _ = CONNECT.unpack(body)
        reader = _text(asked[1])
        if asked[2] != DIRECT and reader not in self._gate.shown:
            self._client.sendall(CONNECT.pack(*asked, NO_CARD))
            return
        for connected in self._handles.values():
            if connected.is_dropped and connected.reader == reader:
                connected.is_dropped = False
                self._client.sendall(connected.answer)
                return
        answer = self._ask(Command.CONNECT, body, CONNECT.size)
        told = CONNECT.unpack(answer)
        if told[6] == SHARING_VIOLATION:
            self._gate.busy.add(reader)  # another program has the reader for itself
        if told[6] == OK:
            self._handles[told[4]] = Connected(reader, answer, is_alone=asked[2] == EXCLUSIVE)
        self._client.sendall(answer)

    def _reconnect(self, command: int, body: bytes) -> None:
        handle, share, *_ = RECONNECT.unpack(body)
        if self._relay(command, body) == OK and handle in self._handles:
            self._handles[handle].is_alone = share == EXCLUSIVE

    def _disconnect(self, command: int, body: bytes) -> None:
        """Drop a connection; with a transaction that is kept open it stays for the module's next one."""
        handle, disposition, _ = TRANSACTION_END.unpack(body)
        if handle in self._kept and disposition == LEAVE:
            self._handles[handle].is_dropped = True
            self._client.sendall(body)
            return
        if self._is_hidden(handle):
            self._drop(handle)
            self._client.sendall(TRANSACTION_END.pack(handle, disposition, OK))
            return
        self._relay(command, body)
        self._handles.pop(handle, None)
        self._kept.discard(handle)

    def _release(self, command: int, body: bytes) -> None:
        self._relay(command, body)
        self._handles.clear()
        self._kept.clear()

    def _answer_begin(self, _: int, body: bytes) -> None:
        handle = TRANSACTION_BEGIN.unpack(body)[0]
        code = NO_CARD if self._is_hidden(handle) else self._begin(handle)
        self._client.sendall(TRANSACTION_BEGIN.pack(handle, code))

    def _begin(self, handle: int) -> int:
        """Begin a transaction for the module."""
        return self._in_time(handle, self.begin(handle))

    def _in_time(self, handle: int, code: int) -> int:
        """Return a code to tell the module: libpcsclite asks again and again while another program has the card."""
        if code == SHARING_VIOLATION:
            begun = self._busy_since.setdefault(handle, time.monotonic())
            reader = self._reader_of(handle)
            if time.monotonic() - begun < self._gate.limits.busy and reader not in self._gate.busy:
                return code
            self._gate.busy.add(reader)
            code = TIMEOUT
        self._busy_since.pop(handle, None)
        return code

    def _answer_end(self, _: int, body: bytes) -> None:
        handle, disposition, _ = TRANSACTION_END.unpack(body)
        stays = handle in self._kept and disposition == LEAVE
        code = NO_CARD if self._is_hidden(handle) else OK if stays else self.end(handle, disposition)
        self._client.sendall(TRANSACTION_END.pack(handle, disposition, code))

    def _transmit(self, command: int, body: bytes) -> None:
        """Pass bytes for the card or the reader; within a claim only in its transaction."""
        form, sent, received = (TRANSMIT, 3, 6) if command == Command.TRANSMIT else (CONTROL, 2, 4)
        fields = form.unpack(body)
        handle, size = fields[0], fields[sent]
        if size > DATA_MAX:
            raise Ended
        data = _exactly(self._client, size)
        is_question = form is CONTROL and fields[1] == FEATURES
        code = NO_CARD if self._is_hidden(handle) and not is_question else OK
        if code == OK and self._gate.is_claimed(self._reader_of(handle)):
            while (code := self._begin(handle)) == SHARING_VIOLATION:
                time.sleep(BUSY_PAUSE)
        if code != OK:
            self._client.sendall(form.pack(*fields[:-1], code))
            return
        answer = self._ask(command, body, form.size, data)
        told = form.unpack(answer)
        if told[-1] == OK:
            if told[received] > DATA_MAX:
                raise Ended
            answer += _exactly(self._server, told[received])
        self._client.sendall(answer)

    def _count_events(self, command: int, body: bytes) -> None:
        self._client.sendall(self._ask(command, body, EVENT.size))

    def _stop_waiting(self, *_: object) -> None:
        self._wake()  # where nobody waits any more, the event has been told, and pcscd would say nothing

    def _tell_size(self, command: int, body: bytes) -> None:
        answer = self._ask(command, body, 4)
        self._slots = int.from_bytes(answer, sys.byteorder, signed=True)
        if not 0 <= self._slots <= READERS_MAX:
            raise Ended
        self._client.sendall(answer)

    def _wait(self, command: int, body: bytes) -> None:
        self._tell_states(command, body)
        self._is_waiting = True

    def _tell_states(self, command: int, body: bytes) -> None:
        slots = self._slots if command == Command.STATES_ARRAY else READERS
        if command == Command.WAIT and self._minor > STATES_WITH_WAIT:
            slots = 0
        states = self._ask(command, body, slots * STATE.size)
        self._client.sendall(b"".join(map(self._as_shown, _parts(states))))

    def _as_shown(self, state: bytes) -> bytes:
        """Return a reader's state as the module is to see it: a card that is not left to it is not there."""
        name, _, flags, *_ = STATE.unpack(state)
        reader = _text(name)
        if not reader:
            return state
        self._gate.seen(reader)
        if reader in self._gate.shown or not flags & PRESENT:
            return state
        return STATE.pack(name, 0, ABSENT, 0, b"", 0, 0)

    def _is_hidden(self, handle: int) -> bool:
        return handle in self._handles and self._reader_of(handle) not in self._gate.shown

    def _reader_of(self, handle: int) -> str:
        return self._handles[handle].reader if handle in self._handles else ""

    def _relay(self, command: int, body: bytes) -> int:
        """Pass a question and its answer, which ends with PC/SC's code; most begin with a handle. Return the code."""
        handle = int.from_bytes(body[:4], sys.byteorder, signed=True)
        if self._is_hidden(handle) and command not in HARMLESS:
            answer, code = body, NO_CARD
        else:
            answer = self._ask(command, body, len(body))
            code = int.from_bytes(answer[-4:], sys.byteorder)
        if code == SHARING_VIOLATION:
            code = self._in_time(handle, code)
        self._client.sendall(answer[:-4] + code.to_bytes(4, sys.byteorder))
        return code

    def _ask(self, command: int, body: bytes, size: int, data: bytes = b"") -> bytes:
        """Ask pcscd, and return an answer of this size."""
        self._server.sendall(HEADER.pack(len(body), command) + body + data)
        return _exactly(self._server, size)


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(errors="replace")


def _parts(states: bytes) -> Iterator[bytes]:
    return (states[place : place + STATE.size] for place in range(0, len(states), STATE.size))


def _exactly(side: socket.socket, size: int) -> bytes:
    """Return so many bytes; all of them within the side's time limit, where it has one."""
    limit = side.gettimeout()
    deadline = time.monotonic() + (limit or 0)
    received = bytearray()
    while len(received) < size:
        part = side.recv(size - len(received))
        if not part or (limit is not None and time.monotonic() > deadline):
            raise Ended
        received += part
    return bytes(received)
