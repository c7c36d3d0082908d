"""A module as the daemon holds it: a process started when needed, ended when it hangs, and started anew."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cardd.errors import ModuleFailed
from cardd.secret import Secret
from cardd_drivers.pkcs11.process import ENDING, HostProcess
from cardd_drivers.pkcs11.wire import Broken, Reply, Requests

ANSWER_LIMIT = 20.0
KEYPAD_LIMIT = 75.0
STARTS_FREE = 2  # a module that fails again and again is left alone for a while
PAUSE_FIRST, PAUSE_MAX = 0.5, 30.0
STEADY = 60.0  # seconds after which a process is no more held to fail like those before


class Module:
    """One module. Calls may come from several threads; they are made one after the other.

    ``report`` is told, on the thread that met it, how the process failed; ``fault`` is how it did last. ``generation``
    grows with each start: what the process was told before is void. ``events`` is a socket that becomes readable when a
    token came or went, or the process ended; it outlives the processes.
    """

    def __init__(self, path: str, report: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.name = Path(path).name.partition(".so")[0]
        self.generation = 0
        self.failures = 0
        self.fault = ""
        self.events, self._events = socket.socketpair()
        self.events.setblocking(False)
        self._report = report
        self._lock = threading.Lock()
        self._host: HostProcess | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        host = self._host
        return host.pid if host and not host.has_ended else None

    @property
    def pause(self) -> float:
        """Seconds for which the module is still left alone."""
        return max(0.0, self._not_before - time.monotonic())

    def call(
        self,
        request: Requests,
        secrets: Sequence[Secret] = (),
        *,
        limit: float = ANSWER_LIMIT,
        login: int | None = None,
    ) -> Reply:
        """One request; ``login`` is the generation that the request relies on.

        Raises ModuleFailed when the process goes, does not answer in ``limit`` seconds, or is not that one any more.
        """
        with self._lock:
            host = self._running()
            if login not in (None, self.generation):
                raise ModuleFailed(module=self.name, why=self.fault)
            try:
                reply = host.ask(request, secrets, limit)
            except TimeoutError as error:
                self._end(0.0)
                raise self._failed("timeout") from error
            except (Broken, OSError) as error:
                raise self._failed(self._end()) from error
            if reply.leaving:
                self._end()
            if time.monotonic() > self._started + STEADY:
                self.failures = 0
            return reply

    def close(self) -> None:
        """End the process; a call under way fails."""
        self._closed = True
        if host := self._host:
            host.hang_up()
        with self._lock:
            self._end()
            self.events.close()
            self._events.close()

    def _running(self) -> HostProcess:
        if self._host and not self._host.has_ended:
            return self._host
        if self._host:
            self._failed(self._end())
        if self._closed or self.pause:
            raise ModuleFailed(module=self.name, why=self.fault)
        try:
            self._host = HostProcess(self.path, self._events)
        except OSError as error:
            raise self._failed(error.strerror or "") from error
        self.generation += 1
        self._started = time.monotonic()
        return self._host

    def _end(self, patience: float = ENDING) -> str:
        host, self._host = self._host, None
        return host.end(patience) if host else ""

    def _failed(self, why: str) -> ModuleFailed:
        if not self._closed:
            self.failures += 1
            self.fault = why
            if self.failures > STARTS_FREE:
                pause = min(PAUSE_FIRST * 2 ** min(self.failures - STARTS_FREE - 1, 16), PAUSE_MAX)
                self._not_before = time.monotonic() + pause
            self._report(why)
        return ModuleFailed(module=self.name, why=why)
