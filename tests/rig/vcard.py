"""A minimal virtual card: an ATR and a function, plugged into one slot of a pcscd of the tests' own."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

CPS3_ATR = bytes.fromhex("3BAC00402A001225006480000310009000")  # T=0
T1_EXTENDED_ATR = bytes.fromhex("3B85018073C021C056")  # T=1, card capabilities with extended Lc and Le
MUTE_ATR = bytes(40)  # longer than an ATR can be: the reader sees a card and cannot power it
OFF, ON, RESET, ATR = 0, 1, 2, 4

Answer = Callable[[bytes], bytes]


def always_ok(_apdu: bytes) -> bytes:
    """The simplest card: everything is fine."""
    return b"\x90\x00"


class VirtualCard:
    """Sits in the slot that listens on ``port`` while inserted; records what it was told.

    ``apdus`` is every command it got, ``resets`` counts cold and warm resets.
    """

    def __init__(self, port: int, answer: Answer = always_ok, atr: bytes = CPS3_ATR) -> None:
        self.apdus: list[bytes] = []
        self.resets = 0
        self._port = port
        self._answer = answer
        self._atr = atr
        self._socket: socket.socket | None = None

    def insert(self) -> None:
        """Connect to the reader; pcscd sees the card at its next look."""
        self._socket = _connect(self._port)
        threading.Thread(target=self._serve, args=(self._socket,), daemon=True).start()

    def pull(self) -> None:
        """Leave the reader."""
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket = None

    def _serve(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError, EOFError):
            while True:
                reply = self._reply(_receive(link))
                if reply is not None:
                    link.sendall(len(reply).to_bytes(2, "big") + reply)

    def _reply(self, message: bytes) -> bytes | None:
        if len(message) > 1:
            self.apdus.append(message)
            return self._answer(message)
        self.resets += message[0] in (ON, RESET)
        return self._atr if message[0] == ATR else None


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            link = socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link


def _receive(link: socket.socket) -> bytes:
    return _exactly(link, int.from_bytes(_exactly(link, 2), "big"))


def _exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # without it each APDU costs 44 ms
        part = link.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
