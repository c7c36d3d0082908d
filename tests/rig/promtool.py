"""Prometheus' own judge of metrics, rules and what rules say of metrics."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OWN = Path(__file__).parents[2] / "build" / "tools" / "promtool"


def promtool(*arguments: str, given: str = "") -> str:
    """What promtool says, which finds nothing wrong."""
    program = shutil.which("promtool") or (str(OWN) if OWN.exists() else None)
    if program is None:
        pytest.skip("no promtool here: `make setup` fetches it on Debian")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{given}"
    return done.stdout + done.stderr
