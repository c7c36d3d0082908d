"""The agent's end of lent readers: it does the PC/SC calls that the daemon asks for, with its own session's PC/SC.

A remote desktop hands its readers to the session by a PC/SC socket of the session's own, which no other process knows.
The agent of that session lends them: each PC/SC context of the daemon's is a socket, and the agent does here what comes
through it, one call after the other. A call is a frame with a line of JSON and, after it, the bytes that the call sends
or brings. A command for the card may have a PIN in it: it stays in a locked page, and never becomes ``bytes`` or
``str``. When the daemon leaves, what it had begun ends with a reset.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import threading
from collections.abc import Mapping

from cardd.backoff import BackOff
from cardd.errors import CarddError
from cardd.frames import PREFIX, Broken, framed, receive_exactly, receive_into
from cardd.pcsc.winscard import Disposition, Handle, WinScard
from cardd.secret import Secret

FRAME_MAX = 68 * 1024  # an extended APDU, and the line before it
LINE_MAX = 4096
SOCKET_NAME, SYSTEMS_SOCKET = "PCSCLITE_CSOCK_NAME", "/run/pcscd/pcscd.comm"
CANCEL_FIRST, CANCEL_LONGEST = 0.01, 1.0  # seconds between two attempts to end a wait
NO_SERVICE = "8010001D"

Json = Mapping[str, object]


def has_own_readers(environment: Mapping[str, str]) -> bool:
    """Return whether this session has a PC/SC socket of its own."""
    named = environment.get(SOCKET_NAME)
    return bool(named) and os.path.realpath(str(named)) != os.path.realpath(SYSTEMS_SOCKET)


def lend(link: socket.socket, winscard: WinScard | None = None) -> None:
    """Serve one PC/SC context over this connection, in threads of its own, until the other end leaves."""
    link.setblocking(True)
    context = _Context(link, winscard or WinScard())
    threading.Thread(target=context.serve, name="lent readers", daemon=True).start()
    threading.Thread(target=context.cancel_when_left, name="lent readers' end", daemon=True).start()


class _Context:
    """One PC/SC context, and the handles that belong to it."""

    def __init__(self, link: socket.socket, winscard: WinScard) -> None:
        self._link = link
        self._winscard = winscard
        self._number: int | None = None
        self._handles: dict[int, Handle] = {}
        self._in_transaction: set[int] = set()
        self._has_ended = threading.Event()
        self._told = b""

    def serve(self) -> None:
        """Do call after call, until the daemon leaves or says what is no call."""
        try:
            with Secret(FRAME_MAX) as page:
                while True:
                    self._link.sendall(framed(self._answer(page)))
        except (OSError, Broken, ValueError, KeyError, TypeError, RecursionError):
            pass
        finally:
            self._has_ended.set()
            self._give_up()
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)  # which ends the other thread

    def cancel_when_left(self) -> None:
        """End a wait for readers when the daemon leaves; nothing runs before."""
        left = select.poll()
        left.register(self._link, select.POLLRDHUP)
        left.poll()
        back_off = BackOff(CANCEL_FIRST, CANCEL_LONGEST)
        while not self._has_ended.wait(back_off.pause()):
            if self._number is not None:
                self._winscard.cancel(self._number)
        self._link.close()

    def _answer(self, page: Secret) -> bytes:
        """Wait for a call and do it; return the answer. Raises what ends the connection."""
        size = int.from_bytes(receive_exactly(self._link, PREFIX), "big")
        if size > FRAME_MAX:
            raise Broken
        with page.room() as room, room[:size] as frame:
            receive_into(self._link, frame)
            try:
                end = next(place for place in range(min(size, LINE_MAX)) if frame[place] == 0x0A)
                call: Json = json.loads(bytes(frame[:end]))
                return self._done(call, frame[end + 1 :])
            except StopIteration:
                raise Broken from None
            except CarddError as error:
                return json.dumps({"error": error.params.get("pcsc", NO_SERVICE)}).encode() + b"\n"
            finally:
                frame[:] = bytes(size)

    def _done(self, call: Json, body: memoryview) -> bytes:
        self._told = b""
        with body:
            answer = self._context_call(call) if "handle" not in call else self._card_call(call, body)
        return json.dumps(answer).encode() + b"\n" + self._told

    def _context_call(self, call: Json) -> dict[str, object]:
        if self._number is None:
            self._number = self._winscard.establish()
        match call:
            case {"call": "establish"}:
                return {}
            case {"call": "readers"}:
                return {"readers": self._winscard.readers(self._number)}
            case {"call": "wait", "states": list(states), "timeout": int(timeout)}:
                found = self._winscard.wait(self._number, [(str(name), int(state)) for name, state in states], timeout)
                return {"states": found and [[one.name, one.event, one.atr.hex()] for one in found]}
            case {"call": "connect", "reader": str(reader)}:
                handle = self._winscard.connect(self._number, reader)
                self._handles[handle.number] = handle
                return {"handle": handle.number, "protocol": handle.protocol.value}
            case _:
                raise Broken

    def _card_call(self, call: Json, body: memoryview) -> dict[str, object]:
        handle = self._handles[int(str(call["handle"]))]
        match call:
            case {"call": "transmit"}:
                self._transmit(handle, body)
            case {"call": "control", "code": int(code)}:
                self._told = self._winscard.control(handle, code, list(body))
            case {"call": "atr"}:
                self._told = self._winscard.atr(handle)
            case {"call": "begin"}:
                self._winscard.begin(handle)
                self._in_transaction.add(handle.number)
            case {"call": "end"}:
                self._winscard.end(handle)
                self._in_transaction.discard(handle.number)
            case {"call": "reconnect", "disposition": int(disposition)}:
                renewed = self._winscard.reconnect(handle, Disposition(disposition))
                self._handles[handle.number] = renewed
                return {"protocol": renewed.protocol.value}
            case {"call": "disconnect", "disposition": int(disposition)}:
                self._forget(handle)
                self._winscard.disconnect(handle, Disposition(disposition))
            case _:
                raise Broken
        return {}

    def _transmit(self, handle: Handle, body: memoryview) -> None:
        """Send a command, which may have a PIN in it."""
        apdu = list(body)
        try:
            self._told = self._winscard.transmit(handle, apdu)
        finally:
            for place in range(len(apdu)):
                apdu[place] = 0

    def _forget(self, handle: Handle) -> None:
        self._handles.pop(handle.number, None)
        self._in_transaction.discard(handle.number)

    def _give_up(self) -> None:
        """Rule 3, for a daemon that left in the middle: a card with a login is reset."""
        with contextlib.suppress(CarddError):
            for handle in list(self._handles.values()):
                is_begun = handle.number in self._in_transaction
                self._winscard.disconnect(handle, Disposition.RESET if is_begun else Disposition.LEAVE)
            if self._number is not None:
                self._winscard.release(self._number)
