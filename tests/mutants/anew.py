"""A plugin of pytest: each run in a process imports the tests anew, for one may use up its parameters."""

from __future__ import annotations

import sys


def pytest_sessionstart() -> None:
    """Forget those of the run before."""
    for name in [name for name in sys.modules if name.startswith("tests.") and ".test_" in name]:
        del sys.modules[name]
