"""What holds for all tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the translations that changed; `make` does it too, and pytest may be called without."""
    if not hasattr(config, "workerinput"):
        program = Path(__file__).parents[1] / ".make/texts.py"
        subprocess.run([sys.executable, str(program), "compile"], check=True)
