"""The real ``cardd-agent`` as a process, as each desktop session runs it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 15.0  # seconds


@contextmanager
def agent_process(
    socket: Path, pinentry: Path | str, *, locale: str = "fr_FR.UTF-8"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent inside the ``with``; SIGTERM ends it, with success, unless it has ended before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cardd.agent.main", "--socket", socket, "--pinentry", pinentry],
        env={**os.environ, "LC_ALL": locale},
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
        if process.poll() is None:
            process.terminate()
            assert process.wait(LIMIT) == 0
    finally:
        process.kill()
        process.wait(LIMIT)


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found
