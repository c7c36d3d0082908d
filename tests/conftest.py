"""What holds for all tests."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.rig.logind import Bus
    from tests.rig.oidc.provider import PscRig

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes is the machine's affair: another program's work must fail no test.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")

OWN_DIRECTORY = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Compile the translations that changed; `make` does it too, and pytest may be called without.

    Give this run a directory of its own: the usual one is every run's, and each run that begins closes it to other
    users, whom tests of a run under way have let in.
    """
    if hasattr(config, "workerinput"):
        return  # it has a place in the whole run's
    if config.option.basetemp is None:
        config.stash[OWN_DIRECTORY] = made = Path(tempfile.mkdtemp(prefix="cardd-tests-"))
        config.option.basetemp = str(made / "t")
    program = Path(__file__).parents[1] / ".make/texts.py"
    subprocess.run([sys.executable, str(program), "compile"], check=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the run's directory only where a test failed: somebody will look into it."""
    made = session.config.stash.get(OWN_DIRECTORY, None)
    if made is not None and exitstatus != pytest.ExitCode.TESTS_FAILED:
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def running_psc() -> Iterator[PscRig]:
    from tests.rig.oidc.provider import PscRig  # with the first test that wants it

    rig = PscRig.installed()
    asyncio.run(rig.start())
    yield rig
    asyncio.run(rig.stop())


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """A D-Bus of the test's own."""
    from tests.rig.logind import Bus  # with the first test that wants it

    bus = Bus(tmp_path)
    bus.start()
    yield bus
    bus.stop()


@pytest.fixture
async def psc(running_psc: PscRig) -> PscRig:
    """Node's oidc-provider as Pro Santé Connect: one for all tests that change nothing but what ``reset`` restores."""
    await running_psc.reset()
    return running_psc
