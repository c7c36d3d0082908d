"""The way of a module's process to pcscd. The daemon stands on it, and the process is shown no other.

A module looks into every reader and leaves the card logged in as it likes. Through the gate it sees a card only in the
readers that are left to it, those that no native driver serves. While a claim stands, all that it does with the card
is one transaction, which no other program gets between; the claim's end resets the card.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable

from cardd.errors import ReaderBusy
from cardd_drivers.pkcs11.context import BUSY_PAUSE, Context, Limits
from cardd_drivers.pkcs11.messages import LEAVE, RESET, SHARING_VIOLATION, Ended
from cardd_drivers.pkcs11.pcsc import means

SOCKET_NAME, SOCKET = "PCSCLITE_CSOCK_NAME", "/run/pcscd/pcscd.comm"
CONTEXTS_MAX = 32
ACCEPT_PAUSE = 0.2  # seconds


class Gate:
    """One module's gate: it outlives the module's processes. ``on_lost`` is told when pcscd has left a process.

    ``descriptor`` is to be inherited by the process: the socket has no other name. ``busy`` are the readers whose cards
    other programs did not let the module have in its last call.
    """

    def __init__(self, on_lost: Callable[[], None], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.lock = threading.RLock()
        self.on_lost = on_lost
        self.shown: frozenset[str] = frozenset()
        self.busy: set[str] = set()
        self._readers: set[str] = set()
        self._claims: Counter[str] = Counter()
        self._contexts: set[Context] = set()
        self._is_closed = False
        self._listener = socket.socket(socket.AF_UNIX)
        with tempfile.TemporaryDirectory(prefix="cardd-") as directory:
            parent = os.open(directory, os.O_PATH | os.O_CLOEXEC)
            place = f"/proc/self/fd/{parent}/pcsc"  # the directory's own name may be too long for a socket's
            try:
                self._listener.bind(place)
                self._listener.listen(CONTEXTS_MAX)
                self.descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
            finally:
                os.close(parent)
        threading.Thread(target=self._accept, name="pcsc gate", daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """Return what has libpcsclite come to the gate."""
        return {SOCKET_NAME: f"/proc/self/fd/{self.descriptor}"}

    def show(self, readers: frozenset[str]) -> None:
        """Leave the cards in these readers to the module, and no others."""
        if readers != self.shown:
            self.shown = readers
            for context in list(self._contexts):
                context.nudge()

    def hides(self, reader: str) -> bool:
        """Return whether this is a PC/SC reader, by its name or a slot's description, whose card is not left."""
        meant = {known for known in self._readers if means(reader, known)}
        return bool(meant) and not meant & self.shown

    def claim(self, reader: str) -> None:
        """Keep what the module does with the reader's card in one transaction from here on. Raises ReaderBusy."""
        with self.lock:
            self._claims[reader] += 1
        deadline = time.monotonic() + self.limits.busy
        while self._is_busy(reader):
            if time.monotonic() > deadline:
                self.release(reader, reset=False)
                raise ReaderBusy(reader=reader)
            time.sleep(BUSY_PAUSE)

    def release(self, reader: str, *, reset: bool) -> None:
        """End the claim; the last one on a reader ends the transaction, and so does a reset."""
        with self.lock:
            self._claims[reader] -= 1
            if reset or not self._claims[reader]:
                self.end_kept(reader, RESET if reset else LEAVE)

    def is_claimed(self, reader: str) -> bool:
        """Return whether a claim on the reader stands."""
        return any(count > 0 and means(claimed, reader) for claimed, count in list(self._claims.items()))

    def keeps(self, reader: str) -> bool:
        """Return whether a transaction of the module's is kept open."""
        with self.lock:
            return any(context.kept_of(reader) for context in list(self._contexts))

    def end_kept(self, reader: str, disposition: int, but: int | None = None) -> None:
        """End the transactions that are kept open on the reader, but that of one handle."""
        for context in list(self._contexts):
            for handle in context.kept_of(reader):
                if handle != but:
                    with contextlib.suppress(OSError, Ended):
                        context.end(handle, disposition)

    def seen(self, reader: str) -> None:
        """Note that there is a PC/SC reader of this name."""
        self._readers.add(reader)

    def forget(self, context: Context) -> None:
        """Drop a context that has ended."""
        with self.lock:
            self._contexts.discard(context)

    def drop(self) -> None:
        """End every context: the process has ended, or is to."""
        for context in list(self._contexts):
            context.hang_up()

    def close(self) -> None:
        """End every context, and let no other one in."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        os.close(self.descriptor)

    def _is_busy(self, reader: str) -> bool:
        """Begin a transaction where the module is connected already, and return whether another program has one."""
        with self.lock:
            for context in list(self._contexts):
                for handle in context.handles_of(reader):
                    with contextlib.suppress(OSError, Ended):
                        return context.begin(handle) == SHARING_VIOLATION
        return False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                if self._is_closed:
                    return
                time.sleep(ACCEPT_PAUSE)  # no file descriptor was left
                continue
            try:
                self._serve(client)
            except OSError:  # no pcscd, or no file descriptor: libpcsclite tells its caller
                client.close()

    def _serve(self, client: socket.socket) -> None:
        if len(self._contexts) >= CONTEXTS_MAX:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(os.environ.get(SOCKET_NAME, SOCKET))
            context = Context(self, client, server)
        except OSError:
            server.close()
            raise
        self._contexts.add(context)
        threading.Thread(target=context.run, name="pcsc context", daemon=True).start()
