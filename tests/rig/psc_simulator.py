"""``cardctl simulate psc`` as a process of its own, on a free port, with a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.rig.ports import free_port
from tests.rig.waiting import eventually_here

SECRET = "secret-SIMULATION"
CLIENT = "lps-simulation"


class PscSimulator:
    """``configuration`` is what it tells to put into cardd's; ``name`` is ``psc-proxy`` for an editor's server."""

    def __init__(self, directory: Path, name: str = "psc") -> None:
        self.name = name
        self.port = free_port()
        self.state = directory / f"sandbox-{name}"
        self.base = f"https://localhost:{self.port}"
        self.issuer = f"{self.base}/auth/realms/esante-wallet"
        self.authorities = self.state / "authority.pem"
        self._process: subprocess.Popen[str] | None = None
        self._told: IO[str] | None = None
        self.said = ""

    @property
    def configuration(self) -> str:
        """The section that it printed."""
        start = self.said.index("[psc]")
        return self.said[start : self.said.index("\n\n", start)]

    def command(self, *arguments: str) -> list[str]:
        """``cardctl simulate psc`` with these, for this one."""
        return [sys.executable, "-m", "cardd.cli.cardctl", "--lang", "en", "simulate", self.name, *arguments,
                "--state", str(self.state)]  # fmt: skip

    def start(self, *arguments: str) -> None:
        """Start it; it answers when this returns."""
        command = self.command("--port", str(self.port), *arguments)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._told = self._process.stdout if "--json" in arguments else self._process.stderr
        last = SECRET if self.name == "psc" else "No secret" if self._told is self._process.stderr else "people"
        while last not in self.said:
            self.said += self.next_line()

    def next_line(self) -> str:
        """The next thing that it tells."""
        assert self._told
        line = self._told.readline()
        assert line, self.said
        return line

    def tell(self, *order: str) -> subprocess.CompletedProcess[str]:
        """Play the mobile by the command."""
        return subprocess.run(self.command(*order), capture_output=True, text=True, timeout=30, check=False)

    def stop(self) -> int:
        """End it as a user does; its status."""
        assert self._process
        self._process.terminate()
        status = self._process.wait(20)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        eventually_here(lambda: not (self.state / "control.json").exists())
        return status
