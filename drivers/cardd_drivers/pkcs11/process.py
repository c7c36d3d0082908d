"""One process that holds a module, as the daemon sees it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from cardd.secret import Secret
from cardd_drivers.pkcs11.wire import EVENT, Reply, Requests, receive_reply, send_request

# -P: nothing is imported from the directory that the daemon happens to run in
COMMAND = (sys.executable, "-P", "-m", "cardd_drivers.pkcs11.host")
ENDING = 1.0


class HostProcess:
    """A started process and the link to it.

    A thread of its own starts it and stays until it ends: the kernel ends a process with the thread that started it
    (PR_SET_PDEATHSIG, prctl(2)), and the threads that call come and go with the tokens. That thread tells the process's
    end on ``events``, so that nobody has to look.
    """

    def __init__(self, path: str, events: socket.socket) -> None:
        """Raises OSError when no process can be started."""
        self._link, theirs = socket.socketpair()
        self._ended = threading.Event()
        started: Future[subprocess.Popen[bytes]] = Future()
        with theirs:
            threading.Thread(target=self._keep, args=(path, theirs, events, started), daemon=True).start()
            self._process = started.result()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._ended.is_set()

    def ask(self, request: Requests, secrets: Sequence[Secret], limit: float) -> Reply:
        """One request. Raises Broken, OSError; TimeoutError when the whole answer is not there in ``limit`` seconds."""
        deadline = time.monotonic() + limit
        self._link.settimeout(limit)
        send_request(self._link, request, secrets)
        return receive_reply(self._link, deadline)

    def hang_up(self) -> None:
        """Have a call that waits for an answer fail, and the process leave; from any thread."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    def end(self, patience: float = ENDING) -> str:
        """End it, by force when it has not left in ``patience`` seconds; in a word, how it ended."""
        self.hang_up()
        if not self._ended.wait(patience):
            self._process.kill()
            self._ended.wait()
        self._link.close()
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def _keep(
        self, path: str, theirs: socket.socket, events: socket.socket, started: Future[subprocess.Popen[bytes]]
    ) -> None:
        numbers = [theirs.fileno(), events.fileno()]
        try:
            process = subprocess.Popen(  # noqa: S603 - the module's path is the administrator's
                [*COMMAND, *map(str, numbers), path], pass_fds=numbers, stdin=subprocess.DEVNULL
            )
        except (OSError, ValueError) as error:
            self._link.close()
            started.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
            return
        started.set_result(process)
        process.wait()
        self._ended.set()
        with contextlib.suppress(OSError):
            events.send(EVENT, socket.MSG_DONTWAIT)
