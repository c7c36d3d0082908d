"""A module's process as the daemon holds it: started when needed, ended when it hangs, and started anew."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cardd.errors import ModuleFailed
from cardd.secret import Secret
from cardd_drivers.pkcs11.wire import Broken, Reply, Requests, receive_reply, send_request

ANSWER_LIMIT = 20.0
KEYPAD_LIMIT = 75.0
STARTS_FREE = 2  # a module that fails again and again is left alone for a while
PAUSE_FIRST, PAUSE_MAX = 0.5, 30.0
ENDING = 1.0


class Module:
    """One module. Calls may come from several threads; they are made one after the other.

    ``report`` is told, on the caller's thread, how the process failed. ``generation`` grows with each start: what the
    process was told before is void. ``events`` is a socket that becomes readable when a token came or went; it outlives
    the processes.
    """

    def __init__(self, path: str, report: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._report = report
        self.name = Path(path).name.partition(".so")[0]
        self.generation = 0
        self.fault: str | None = None
        self.events, self._events = socket.socketpair()
        self.events.setblocking(False)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process else None

    def call(self, request: Requests, secrets: Sequence[Secret] = (), *, limit: float = ANSWER_LIMIT) -> Reply:
        """One request. Raises ModuleFailed when the process has gone, goes, or does not answer in ``limit`` seconds."""
        with self._lock:
            link = self._running()
            try:
                link.settimeout(limit)
                send_request(link, request, secrets)
                reply = receive_reply(link)
            except (Broken, OSError) as error:
                why = "timeout" if isinstance(error, TimeoutError) else self._end()
                self._end()
                raise self._failed(why) from error
            self._failures, self.fault = 0, None
            return reply

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()
            self.events.close()
            self._events.close()

    def _running(self) -> socket.socket:
        if self._link is not None and self._process is not None:
            if self._process.poll() is None:
                return self._link
            # whoever asks thinks of what the process knew; the next one finds a new process
            raise self._failed(self._end())
        if time.monotonic() < self._not_before:
            raise ModuleFailed(module=self.name, why=self.fault or "")
        return self._start()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "cardd_drivers.pkcs11.host"]
        numbers = [theirs.fileno(), self._events.fileno()]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - the module's path is the administrator's
                [*command, *map(str, numbers), self.path], pass_fds=numbers, stdin=subprocess.DEVNULL
            )
        self._link = ours
        self.generation += 1
        return ours

    def _end(self) -> str:
        """How the process ended, in a word for the fault's report."""
        if self._link is not None:
            self._link.close()
            self._link = None
        process, self._process = self._process, None
        if process is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING)
        if process.returncode is None:
            process.kill()
            process.wait()
        code = process.returncode
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def _failed(self, why: str) -> ModuleFailed:
        self._failures += 1
        self.fault = why
        self._report(why)
        if self._failures > STARTS_FREE:
            pause = min(PAUSE_FIRST * 2 ** (self._failures - STARTS_FREE - 1), PAUSE_MAX)
            self._not_before = time.monotonic() + pause
        return ModuleFailed(module=self.name, why=why)
