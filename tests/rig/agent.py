"""The real ``cardd-agent`` as a process, as each desktop session runs it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.rig import other_user

LIMIT = 15.0  # seconds

OTHER_IMPORTS = "import concurrent.futures.thread\nfrom cardd.cli.agent import main"
OTHER_AGENT = """
sys.argv = ["cardd-agent", "--socket", sys.argv[1], "--pinentry", sys.argv[2]]
raise SystemExit(main())
"""
# the other user may not be allowed to read this Python: a pinentry that needs none
OTHER_PINENTRY = """#!/bin/sh
echo OK
while read -r command words; do
    case $command in
        SETDESC) echo "$words" >> {shown} ;;
        GETPIN) echo D {pin} ;;
    esac
    echo OK
done
"""


@contextmanager
def agent_process(
    socket: Path,
    pinentry: Path | str | None,
    *,
    locale: str = "fr_FR.UTF-8",
    path: str = os.environ["PATH"],
    environment: Mapping[str, str] | None = None,
    only: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent, or one part of it, inside the ``with``; SIGTERM ends it, with success, unless it has ended before.

    Without ``pinentry`` it looks for one in ``path``.
    """
    given = [*(["--pinentry", pinentry] if pinentry else []), *(["--only", only] if only else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "cardd.cli.agent", "--socket", socket, *given],
        env={**os.environ, "LC_ALL": locale, "PATH": path, **(environment or {})},
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


@contextmanager
def other_users_agent(socket: Path, directory: Path, pin: bytes) -> Iterator[Path]:
    """Run the agent of a real second user, who types this PIN; gives the file that holds what the dialogs showed."""
    shown = directory / "shown-to-the-other"
    shown.touch()
    shown.chmod(0o666)
    program = directory / "pinentry-of-the-other"
    program.write_text(OTHER_PINENTRY.format(shown=shown, pin=pin.decode()))
    program.chmod(0o755)
    other_user.open_to_everybody(directory)
    with other_user.start(OTHER_AGENT, socket, program, imports=OTHER_IMPORTS) as process:
        try:
            yield shown
        finally:
            process.terminate()
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
