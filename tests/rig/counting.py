"""A plugin of coverage: the counts of processes that put themselves into a sandbox (``cardd.sandbox``) are kept too.

Such a process may write no file. A thread that is there before the sandbox stays outside of it, for Landlock and
seccomp hold for the thread that asks for them; it writes the counts before each answer, because the daemon ends some
of these processes without warning, and at the end. Nothing of it is in the programs: coverage brings it along.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

from coverage import Coverage, CoveragePlugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from coverage.plugin_support import Plugins

ENTRANCE = "/proc/self/fd"  # where cardd.sandbox goes first; to import it here would lose what it counts
AFTERWARDS = 0.05  # seconds; what a process does once it has answered
ASIDE = 5.0  # seconds; so long a process waits for its counts to be written


def coverage_init(plugins: Plugins, options: dict[str, str]) -> None:
    """Have this process tell when it enters its sandbox; the name is coverage's."""
    del options
    if not hasattr(coverage_init, "listens"):
        setattr(coverage_init, "listens", True)  # noqa: B010 - a function has no such field for mypy
        plugins.add_configurer(CoveragePlugin())
        sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    """Start the thread when the process goes where it stays: into the directory of its own descriptors."""
    if event == "os.chdir" and arguments[0] == ENTRANCE and (counts := Coverage.current()):
        _Thread(counts).start()


class _Thread(threading.Thread):
    def __init__(self, counts: Coverage) -> None:
        super().__init__(daemon=True)
        self._counts = counts
        self._is_wanted, self._is_written = threading.Event(), threading.Event()

    def start(self) -> None:
        super().start()
        self._counts._auto_save = False
        atexit.register(self._write)
        send, leave = socket.socket.sendall, os._exit
        setattr(socket.socket, "sendall", self._first(send))  # noqa: B010
        setattr(os, "_exit", self._first(leave))  # noqa: B010

    def run(self) -> None:
        while True:
            self._is_wanted.wait()
            self._is_wanted.clear()
            self._counts.save()
            self._is_written.set()
            if not self._is_wanted.wait(AFTERWARDS):
                self._counts.save()

    def _write(self) -> None:
        self._is_written.clear()
        self._is_wanted.set()
        self._is_written.wait(ASIDE)

    def _first(self, done: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object) -> object:
            self._write()
            return done(*arguments)

        return counted
