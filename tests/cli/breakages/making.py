"""How a breakage is kept by its code and made, and what several are made with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cardd.cli.doctor.surroundings import Surroundings
from tests.cli.practice import Practice

Breakage = Callable[[Practice, Path], Iterator[Surroundings]]
BREAKAGES: dict[str, Breakage] = {}
NOBODY = 65534
# by way of a process that ends at once: whoever the test starts itself counts as its own
ORPHAN = ["/bin/sh", "-c", 'exec 3<&0; "$@" <&3 & echo $! >&2', "sh"]


def breakage(code: str) -> Callable[[Breakage], Breakage]:
    """Keep a breakage by its code."""

    def keep(made: Breakage) -> Breakage:
        BREAKAGES[code] = made
        return made

    return keep


@contextmanager
def broken(code: str, practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Break this on the practice; put it right again."""
    yield from BREAKAGES[code](practice, directory)


@contextmanager
def small_disk(directory: Path, *options: str, size: str = "64k") -> Iterator[Path]:
    """A disk with hardly any room."""
    place = directory / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@contextmanager
def listening(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """A thread that answers on a Unix socket."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                answer(connection)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def with_files(directory: Path, *names: str) -> Path:
    """Another system's root, with these files and nothing else."""
    root = directory / "root"
    root.mkdir()
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@contextmanager
def child(*command: str | Path, said: bytes = b"1\n") -> Iterator[subprocess.Popen[bytes]]:
    """A program that says when it is ready, and ends with its input."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == said
        yield started


@contextmanager
def orphan(*command: str, said: bytes) -> Iterator[None]:
    """A program that this process did not start itself."""
    with subprocess.Popen(
        [*ORPHAN, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        assert started.stdout
        assert started.stdout.readline() == said
        started.wait()
        yield
        assert started.stdin
        started.stdin.close()
        started.stdout.read()  # until it has ended


@contextmanager
def as_installed(practice: Practice) -> Iterator[None]:
    """The service is another user's, who owns its socket."""
    os.chown(practice.station.daemon.socket, NOBODY, NOBODY)
    yield
    os.chown(practice.station.daemon.socket, 0, 0)


@contextmanager
def agent(practice: Practice, path: Path) -> Iterator[None]:
    """An agent that this process did not start itself."""
    command = [sys.executable, "-m", "cardd.cli.agent", "--socket", str(path)]
    command += ["--pinentry", str(practice.station.pinentry.path)]
    with subprocess.Popen([*ORPHAN, *command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as started:
        assert started.stderr
        pid = int(started.stderr.readline())
        started.wait()
        try:
            yield
        finally:
            os.kill(pid, signal.SIGTERM)
            started.stderr.read()  # until it has ended
