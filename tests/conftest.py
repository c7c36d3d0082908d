"""What holds for all tests."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.rig.oidc.provider import PscRig

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the translations that changed; `make` does it too, and pytest may be called without."""
    if not hasattr(config, "workerinput"):
        program = Path(__file__).parents[1] / ".make/texts.py"
        subprocess.run([sys.executable, str(program), "compile"], check=True)


@pytest.fixture(scope="session")
def running_psc() -> Iterator[PscRig]:
    from tests.rig.oidc.provider import PscRig  # with the first test that wants it

    rig = PscRig.installed()
    asyncio.run(rig.start())
    yield rig
    asyncio.run(rig.stop())


@pytest.fixture
async def psc(running_psc: PscRig) -> PscRig:
    """Node's oidc-provider as Pro Santé Connect: one for all tests that change nothing but what ``reset`` restores."""
    await running_psc.reset()
    return running_psc
