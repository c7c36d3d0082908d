"""cardd's programs, started warm: a process that has imported them forks for each call, and so each begins at once.

Each is a process of its own, with its own environment, directory and standard streams, as one that was started; only
its imports are done already. A test of the start, of signals or of the command line starts the program itself.

This file is the process's program too. It runs by the name of ``cardctl``, so that cardd knows it for what it is.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cardd", "cardd_drivers")
UNWANTED = ("cardd.formats.pdf.", "cardd_drivers.pkcs11.host")  # what runs in processes of its own
MESSAGE_MAX = 512 * 1024
STREAMS = 3
GONE = -signal.SIGKILL


# --- in the test


class Warm:
    """A running program: ``cardctl``, or ``cardd`` as ``tests.rig.unread_daemon`` has it. As ``subprocess.Popen``."""

    def __init__(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int
    ) -> None:
        ours, theirs = socket.socketpair()
        asked = {"program": program, "arguments": arguments, "environment": dict(environment), "cwd": str(Path.cwd())}
        with theirs, Path(os.devnull).open("rb") as nothing:
            descriptors = [nothing.fileno(), stdout, stderr, theirs.fileno()]
            socket.send_fds(_server(), [json.dumps(asked).encode()], descriptors)
        self._told = ours.makefile("r")
        self._report = ours
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the status it ended with; None while it runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return the status it ends with. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _end(self) -> None:
        self.returncode = int(self._told.readline() or GONE)
        self._told.close()
        self._report.close()


def run(
    program: str, arguments: Sequence[str], environment: Mapping[str, str], limit: float
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, as ``subprocess.run`` does. Raises TimeoutExpired."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = Warm(program, arguments, environment, out.fileno(), err.fileno())
        try:
            status = process.wait(limit)
        finally:
            process.kill()
        texts = [io.TextIOWrapper(stream, "utf-8") for stream in (out, err)]
        for text in texts:
            text.seek(0)
        return subprocess.CompletedProcess([program, *arguments], status, *(text.read() for text in texts))


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for link in (ours, theirs):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_MAX)
    place = tempfile.TemporaryDirectory(prefix="cardd-warm-")
    named = Path(place.name) / "cardctl"
    named.symlink_to(Path(__file__).resolve())
    with theirs:
        command = [sys.executable, "-P", str(named), str(theirs.fileno())]
        around = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=around, stdin=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.wait(10)
        place.cleanup()

    atexit.register(end)
    return ours


# --- in the process that forks


def serve(link: socket.socket) -> Callable[[], int] | None:
    """Fork for each order; returns what a child is to do, and None when no more orders come."""
    running: dict[int, tuple[int, socket.socket]] = {}  # by its pidfd
    while True:
        watched: list[int] = [link.fileno(), *running]
        for ready in select.select(watched, [], [])[0]:
            if ready in running:
                pid, report = running.pop(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.close(ready)
                with report:
                    _tell(report, status)
                continue
            order, descriptors, _, _ = socket.recv_fds(link, MESSAGE_MAX, STREAMS + 1)
            if not order:
                return None
            pid = os.fork()
            if not pid:
                link.close()
                for handle, (_, report) in running.items():
                    report.close()
                    os.close(handle)
                return _become(json.loads(order), descriptors)
            for descriptor in descriptors[:STREAMS]:
                os.close(descriptor)
            report = socket.socket(fileno=descriptors[STREAMS])
            running[os.pidfd_open(pid)] = pid, report
            _tell(report, pid)


def _tell(report: socket.socket, number: int) -> None:
    with suppress(OSError):  # nobody waits for it
        report.send(b"%d\n" % number)


def _become(asked: dict[str, object], descriptors: list[int]) -> Callable[[], int]:
    """Be the process that was asked for."""
    for number, descriptor in enumerate(descriptors[:STREAMS]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(0), "utf-8"),
        io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")), "utf-8"),
        io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w")), "utf-8", "backslashreplace", line_buffering=True),
    )
    environment, arguments = asked["environment"], asked["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(asked["cwd"]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [str(asked["program"]), *arguments]
    if asked["program"] == "cardctl":
        return import_module("cardd.cli.cardctl").main  # type: ignore[no-any-return]
    return import_module("tests.rig.unread_daemon").unread  # type: ignore[no-any-return]


def _import_all() -> None:
    sys.path.append(str(ROOT))
    for package in map(import_module, PACKAGES):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(UNWANTED):
                import_module(found.name)
    import_module("tests.rig.unread_daemon")


def main() -> int:
    """Be the process that forks, or one that it forked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = socket.socket(fileno=int(sys.argv[1]))
    _import_all()
    gc.collect()
    gc.freeze()
    work = serve(link)
    return work() if work else 0


if __name__ == "__main__":
    sys.exit(main())
