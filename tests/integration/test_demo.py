"""The demonstration that README.md begins with (``make demo``)."""

from __future__ import annotations

import subprocess
import sys

from tests.integration.workstation import ROOT


def test_the_demo_holds_from_insertion_to_removal() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "everything held"
