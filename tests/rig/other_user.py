"""A second user of the machine: Python code that runs as ``nobody``, for tests that run as root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

UID = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another user")

# what the code needs is imported first: the other user may not be allowed to read this Python
PRELUDE = "import os, sys\n{imports}\nos.setgroups([])\nos.setgid({uid})\nos.setuid({uid})\n"


def start(code: str, *arguments: str | Path, imports: str = "") -> subprocess.Popen[str]:
    """Start the code as the other user, with pipes to its input and output."""
    whole = PRELUDE.format(imports=imports, uid=UID) + code
    return subprocess.Popen(
        [sys.executable, "-c", whole, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def run(code: str, *arguments: str | Path, imports: str = "") -> str:
    """Run the code as the other user to its end, which must be a good one; gives what it printed."""
    with start(code, *arguments, imports=imports) as process:
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return printed


def open_to_everybody(path: Path) -> None:
    """Let the other user reach and write a directory of pytest's."""
    path.chmod(0o777)
    for parent in path.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)


def closed(path: Path) -> Path | None:
    """Return the outermost folder on the way that other users may not pass."""
    return next((each for each in (*reversed(path.parents), path) if not each.stat().st_mode & 0o005), None)
