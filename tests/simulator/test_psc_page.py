"""``docs/simulated-psc.md`` as a maker of practice software follows it: each command as it stands there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.pinentry import ScriptedPinentry
from tests.rig.ports import free_port
from tests.rig.psc_simulator import PscSimulator
from tests.rig.waiting import eventually_here

PAGE = Path(__file__).parents[2] / "docs" / "simulated-psc.md"
LIMIT = 60.0


@dataclass(frozen=True)
class Maker:
    """Somebody at home, with cardd's commands on the path and a pinentry that agrees to everything."""

    home: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """Return the shell's environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        commands = f"{self.home / 'bin'}:{Path(sys.executable).parent}"
        return {**kept, "HOME": str(self.home), "PATH": f"{commands}:{kept['PATH']}", "LC_ALL": "en_GB.UTF-8"}

    def shell(self, block: str) -> list[str]:
        """A block of the page, on ports of the test's own."""
        listen = f'[listen]\ntcp = "127.0.0.1:{free_port()}"'
        return ["bash", "-euc", block.replace("17480", str(self.port)).replace("[listen]", listen)]


@pytest.fixture
def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    simulator = PscSimulator(tmp_path / ".local" / "state" / "cardd")  # where it is without --state
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pinentry").symlink_to(ScriptedPinentry(tmp_path).path)
    simulator.start("--auto", "approve")
    assert section(PAGE.read_text()) == section(simulator.said.replace(str(simulator.port), "17480"))
    yield Maker(tmp_path, simulator.port)
    simulator.stop()


def section(told: str) -> list[str]:
    """The configuration that is told, but for where somebody's home is."""
    told = told[told.index("[psc]") :]
    return [line.partition("/.local")[2] or line for line in told.splitlines()[:4]]


def test_who_follows_the_page_logs_in(maker: Maker, blocks: list[str]) -> None:
    daemon, login = blocks
    around = maker.environment
    with subprocess.Popen(maker.shell(daemon), env=around, stdin=subprocess.DEVNULL, start_new_session=True) as running:
        try:
            eventually_here((maker.home / "cardd-try" / "cardd.sock").exists)
            ran = subprocess.run(
                maker.shell(login), env=around, capture_output=True, text=True, timeout=LIMIT, check=False
            )
        finally:
            os.killpg(running.pid, signal.SIGTERM)  # the shell and its daemon
    assert ran.returncode == 0, ran.stderr
    assert "Pro Santé Connect  Answers" in ran.stdout
    assert "CLAIRE SIMULATION (899700000013, test identity)" in ran.stdout
