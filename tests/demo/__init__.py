"""`make demo` and `make demo-web`: the main jobs end to end, told step by step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic


class Failed(Exception):
    """A step did not hold."""


def check_output(command: list[str], directory: Path) -> str:
    """What a command printed; Failed when it did not end well."""
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Failed(f"{' '.join(command)}: {ended.stdout}{ended.stderr}")
    return ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else "ok"


def step(name: str, action: Callable[[], str]) -> None:
    """Do one step, and print what held and its time."""
    started = monotonic()
    told = action()
    print(f"{name:>8}  {1000 * (monotonic() - started):7.0f} ms  {told}", flush=True)
