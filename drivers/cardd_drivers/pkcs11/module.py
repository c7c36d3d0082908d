"""A module as the daemon holds it: a process started when needed, ended when it hangs, and started anew."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from cardd.backoff import doubled
from cardd.errors import ModuleFailed, ReaderBusy
from cardd.frames import Broken, environment_for
from cardd.model import UNCONFINED, Confinement, shown
from cardd.secret import Secret
from cardd.values import Value
from cardd_drivers.pkcs11.gate import Gate
from cardd_drivers.pkcs11.wire import EVENT, Describe, Reply, Requests, receive_reply, send_request

# -P: nothing is imported from the directory that the daemon happens to run in
COMMAND = (sys.executable, "-P", "-m", "cardd_drivers.pkcs11.host")
ENDING = 1.0

OUTPUT_LINES, OUTPUT_WIDTH, OUTPUT_READ = 64, 200, 4096  # of what a process prints, how much the journal gets

ANSWER_LIMIT = 20.0
KEYPAD_LIMIT = 75.0
STARTS_FREE = 2  # a module that fails again and again is left alone for a while
STEADY = 60.0  # seconds after which a process is no more held to fail like those before

log = logging.getLogger(__name__)


class Patience(Value):
    """How often, and after how many seconds, a module is tried again.

    Where it failed: after ``pause_first``, then later and later, up to ``pause_max``; after ``failures_max`` in a row
    only for who wants something of it. Where a token was mute when it came: ``looks`` times, after ``look_pause``, and
    twice as many seconds each further time.
    """

    pause_first: float = 0.5
    pause_max: float = 30.0
    failures_max: int = 8
    looks: int = 3
    look_pause: float = 0.5


class ModuleSandbox(Value):
    """Whether a module gets a sandbox, and the ``files`` and directories in which it may read and write."""

    confinement: Confinement = Confinement.POSSIBLE
    files: tuple[str, ...] = ()


class HostProcess:
    """A started process and the link to it.

    A thread of its own starts it and stays until it ends: the kernel ends a process with the thread that started it
    (PR_SET_PDEATHSIG, prctl(2)), and the threads that call come and go with the tokens. That thread tells the process's
    end on ``events``, so that nobody has to look.
    """

    def __init__(
        self, program: Sequence[str], path: str, events: socket.socket, gate: Gate, sandbox: ModuleSandbox
    ) -> None:
        """Start the process. Raises OSError when none can be started."""
        self._link, theirs = socket.socketpair()
        self._ended, self._has_pin = threading.Event(), threading.Event()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._name = Path(path).name
        command = [*program, str(theirs.fileno()), str(events.fileno()), path, sandbox.confinement, *sandbox.files]
        self._is_confined = sandbox.confinement is not Confinement.OFF
        self._prints = subprocess.PIPE if self._is_confined else None
        with theirs:
            threading.Thread(target=self._keep, args=(command, theirs, events, gate, started), daemon=True).start()
            self._process = started.result()

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Return whether the process runs no more."""
        return self._ended.is_set()

    def ask(self, request: Requests, secrets: Sequence[Secret], limit: float) -> Reply:
        """Send one request, and return its answer.

        Raises Broken, OSError; TimeoutError when the whole answer is not there in ``limit`` seconds.
        """
        deadline = time.monotonic() + limit
        self._link.settimeout(limit)
        if secrets:
            self._has_pin.set()
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
        if code == UNCONFINED:
            return "no sandbox"
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def _keep(
        self,
        command: Sequence[str],
        theirs: socket.socket,
        events: socket.socket,
        gate: Gate,
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - the module's path is the administrator's
                command,
                pass_fds=[theirs.fileno(), events.fileno(), gate.descriptor],
                stdin=subprocess.DEVNULL,
                stdout=self._prints,
                stderr=subprocess.STDOUT if self._prints else None,
                env={**environment_for(confined=self._is_confined), **gate.environment},
            )
        except (OSError, ValueError) as error:
            self._link.close()
            started.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
            return
        started.set_result(process)
        if process.stdout:
            _tell(process.stdout, process.pid, self._name, self._has_pin)
        process.wait()
        self._ended.set()
        with contextlib.suppress(OSError):
            events.send(EVENT, socket.MSG_DONTWAIT)


def _tell(output: IO[bytes], pid: int, name: str, has_pin: threading.Event) -> None:
    """Tell the journal what a module's process prints, as its words, until it ends, was given a PIN or has said enough.

    Others that hold the same pipe may outlive it where no sandbox can be made: so its end is waited for besides.
    """
    left, poll, ended = OUTPUT_LINES, select.poll(), os.pidfd_open(pid)
    try:
        with output:
            poll.register(output, select.POLLIN)
            poll.register(ended, select.POLLIN)
            while left > 0:
                if output.fileno() not in {ready for ready, _ in poll.poll()}:
                    return
                said = os.read(output.fileno(), OUTPUT_READ)
                if not said or has_pin.is_set():  # no line of the journal holds a PIN
                    return
                lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()][:left]
                for line in lines:
                    log.warning("PKCS#11 module %s says: “%s”", name, shown(line)[:OUTPUT_WIDTH])
                left -= max(1, len(lines))
    finally:
        os.close(ended)
    log.warning("PKCS#11 module %s says more than the journal gets", name)


class Module:
    """One module. Calls may come from several threads; they are made one after the other.

    ``report`` is told, on the thread that met it, how the process failed; ``fault`` is how it did last. ``generation``
    grows with each start: what the process was told before is void. ``events`` is a socket that becomes readable when a
    token came or went, or the process ended; ``gate`` is the process's way to PC/SC. Both outlive the processes.
    """

    def __init__(
        self,
        path: str,
        report: Callable[[str], None] = lambda _: None,
        patience: Patience | None = None,
        sandbox: ModuleSandbox | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.path = path
        self.patience = patience or Patience()
        self._sandbox = sandbox or ModuleSandbox()
        self._command = command
        self.name = Path(path).name.partition(".so")[0]
        self.generation = 0
        self.failures = 0
        self.fault = ""
        self.events, self._events = socket.socketpair()
        self.events.setblocking(False)
        self.gate = Gate(self._lost)
        self._report = report
        self._lock = threading.Lock()
        self._host: HostProcess | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Return the process's number, while it runs."""
        host = self._host
        return host.pid if host and not host.has_ended else None

    @property
    def pause(self) -> float:
        """Return the seconds for which the module is still left alone."""
        return max(0.0, self._not_before - time.monotonic())

    def call(
        self,
        request: Requests,
        secrets: Sequence[Secret] = (),
        *,
        limit: float = ANSWER_LIMIT,
        login: int | None = None,
    ) -> Reply:
        """Send one request, and return its answer; ``login`` is the generation that the request relies on.

        Raises ModuleFailed when the process goes, does not answer in ``limit`` seconds, or is not that one any more;
        ReaderBusy when another program did not let the module have the card.
        """
        with self._lock:
            host = self._running()
            if login not in (None, self.generation):
                raise ModuleFailed(module=self.name, why=self.fault)
            self.gate.busy.clear()
            try:
                reply = host.ask(request, secrets, limit)
            except TimeoutError as error:
                self._end(0.0)
                raise self._failed("timeout") from error
            except (Broken, OSError) as error:
                raise self._failed(self._end()) from error
            if reply.leaving:
                self._end()
            if self.gate.busy and (reply.code or isinstance(request, Describe)):  # some tell what they remember
                raise ReaderBusy(reader=min(self.gate.busy))
            if time.monotonic() > self._started + STEADY:
                self.failures = 0
            return reply

    def close(self) -> None:
        """End the process; a call under way fails."""
        if self._closed:
            return
        self._closed = True
        if host := self._host:
            host.hang_up()
        with self._lock:
            self._end()
            self.gate.close()
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
            self._host = HostProcess(self._command, self.path, self._events, self.gate, self._sandbox)
        except OSError as error:
            raise self._failed(error.strerror or "") from error
        self.generation += 1
        self._started = time.monotonic()
        return self._host

    def _end(self, patience: float = ENDING) -> str:
        host, self._host = self._host, None
        how = host.end(patience) if host else ""
        self.gate.drop()
        return how

    def _lost(self) -> None:
        """End a process that pcscd has left: not every module comes back to a new one."""
        if host := self._host:
            host.hang_up()

    def _failed(self, why: str) -> ModuleFailed:
        if not self._closed:
            self.failures += 1
            self.fault = why
            if self.failures > STARTS_FREE:
                times, patience = self.failures - STARTS_FREE - 1, self.patience
                self._not_before = time.monotonic() + doubled(times, patience.pause_first, patience.pause_max)
            self._report(why)
        return ModuleFailed(module=self.name, why=why)
