"""A simulated card in a virtual reader of vsmartcard-vpcd.

Wire: a 16-bit big-endian length and a payload. Payloads of one byte are orders (off, on, reset, ATR), the others are
APDUs; only the ATR and the APDUs are answered, an APDU without power too: the reader would wait for ever.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import Enum

from cardd_simulators.cards.interface import PoweredCard

OFF, ON, RESET, ATR = 0, 1, 2, 4
NO_POWER = bytes.fromhex("6F00")  # no precise diagnosis (ISO/IEC 7816-4, 5.6)
LENGTH_SIZE = 2
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0  # seconds between tries to reach a reader that is not there
CONNECT_TIMEOUT = 5.0


class ReaderState(Enum):
    """Whether the card sits in a reader."""

    INSERTED = "inserted"
    WAITING = "waiting"


class VpcdSlot:
    """Keeps one card in the reader slot that listens at ``address``, through every restart of pcscd, until stopped.

    ``report`` hears of changes, on the slot's own thread.
    """

    def __init__(
        self, card: PoweredCard, address: tuple[str, int], report: Callable[[ReaderState], None] = lambda _: None
    ) -> None:
        self._card = card
        self._address = address
        self._report = report
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._link: socket.socket | None = None
        self._reported: ReaderState | None = None
        self._is_powered = False

    def run(self) -> None:
        """Insert the card, and again whenever the reader was away; returns after ``stop``."""
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            if self._sit():
                wait = FIRST_WAIT
            self._tell(ReaderState.WAITING)
            self._stopping.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def stop(self) -> None:
        """Take the card out; may be called from any thread."""
        self._stopping.set()
        with self._lock:
            if self._link:
                with contextlib.suppress(OSError):
                    self._link.shutdown(socket.SHUT_RDWR)

    def _sit(self) -> bool:
        """Serve the reader until it goes; False when it was not there."""
        try:
            link = socket.create_connection(self._address, CONNECT_TIMEOUT)
        except OSError:
            return False
        with link:
            link.settimeout(None)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._hold(link)
            self._tell(ReaderState.INSERTED)
            with contextlib.suppress(OSError):
                self._serve(link)
            self._hold(None)
        self._power_off()
        return True

    def _hold(self, link: socket.socket | None) -> None:
        with self._lock:
            self._link = link
            if link and self._stopping.is_set():
                link.shutdown(socket.SHUT_RDWR)  # stopped while connecting

    def _tell(self, state: ReaderState) -> None:
        if state is not self._reported and not self._stopping.is_set():
            self._reported = state
            self._report(state)

    def _serve(self, link: socket.socket) -> None:
        while (message := _receive(link)) is not None:
            answer = self._process(message) if len(message) > 1 else self._obey(message)
            if answer:
                link.sendall(len(answer).to_bytes(LENGTH_SIZE, "big") + answer)

    def _process(self, apdu: bytes) -> bytes:
        return self._card.process(apdu) if self._is_powered else NO_POWER

    def _power_off(self) -> None:
        self._is_powered = False
        self._card.power_off()

    def _obey(self, message: bytes) -> bytes:
        """Follow an order, if it is one; only the order for the ATR has an answer."""
        order = message[0] if message else None
        if order == OFF:
            self._power_off()
        elif order in (ON, RESET):
            self._is_powered = True
            start = self._card.power_on if order == ON else self._card.reset
            start()
        return self._card.atr if order == ATR else b""


def _receive(link: socket.socket) -> bytes | None:
    """Return one message; None when the reader has gone."""
    head = _exactly(link, LENGTH_SIZE)
    return _exactly(link, int.from_bytes(head, "big")) if head is not None else None


def _exactly(link: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # the kernel forgets it: 44 ms an APDU without
        part = link.recv(size - len(data))
        if not part:
            return None
        data += part
    return data
