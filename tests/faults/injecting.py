"""What is done to a running process from outside: its system calls, by strace; and standing still, by signals."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.workstation import wait_until


@contextmanager
def injected(pid: int, calls: str, what: str, *paths: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Do this at such system calls of a process, inside; ``calls`` and ``what`` as strace writes them.

    With ``paths``, at those alone that are about one of them.
    """
    with tempfile.NamedTemporaryFile("r") as said:
        chosen = [option for path in paths for option in ("-P", str(path))]
        command = ["strace", "-f", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={calls}:{what}", *chosen]
        with subprocess.Popen([*command, "-o", "/dev/null"], stderr=Path(said.name).open("wb")) as strace:
            wait_until(lambda: strace.poll() is not None or "attached" in Path(said.name).read_text())
            assert strace.poll() is None, f"strace may not look at the daemon: {said.read()}"
            try:
                yield strace
            finally:
                strace.terminate()
                with suppress(subprocess.TimeoutExpired):
                    strace.wait(1)
                strace.kill()  # it waits for a process that is dead, and has not been waited for


def killed_at(pid: int, calls: str, *paths: Path, nth: int = 1) -> None:
    """Kill a process at the N-th such call; return once it is dead."""
    with injected(pid, calls, f"signal=KILL:when={nth}", *paths):
        wait_until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def stands_still(pid: int, seconds: float, *, dies: bool = False) -> None:
    """Have a process do nothing for a while; then it goes on, or dies."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL if dies else signal.SIGCONT)
