"""The portals of docs/examples/webps as they stand: each a server over https, under a name of the rig."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import cardd.web
from tests.rig import nginx
from tests.rig.ports import free_port
from tests.rig.psc_simulator import CLIENT, SECRET, PscSimulator

EXAMPLE = Path(__file__).parents[2] / "docs/examples/webps"
CARDD_JS = Path(cardd.web.__file__).with_name("cardd.js")
Server = Literal["python", "node"]
SERVERS: tuple[Server, ...] = ("python", "node")
COMMANDS: Mapping[Server, Sequence[str]] = {
    "python": (sys.executable, str(EXAMPLE / "portal.py")),
    "node": ("node", str(EXAMPLE / "portal.mjs")),
}


@dataclass
class WebPs:
    """One portal; its ``authorities.pem`` and ``lists.pem`` are in ``folder``, and ``log`` has what it says."""

    server: Server
    folder: Path
    pair: nginx.Pair
    host: str
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        """Return the origin of its pages."""
        return f"https://{self.host}:{self.port}"

    @property
    def log(self) -> Path:
        """Return the file of what it says."""
        return self.folder / f"{self.server}.log"

    def set_up(self, cardd: Sequence[str], psc: PscSimulator | None) -> None:
        """Write its settings: where cardd listens for its pages, and the provider of its own logins by e-CPS."""
        settings = {
            "origin": self.origin,
            "port": self.port,
            "certificate": str(self.pair.certificate),
            "key": str(self.pair.key),
            "authorities": str(self.folder / "authorities.pem"),
            "lists": str(self.folder / "lists.pem"),
            "cardd": list(cardd),
            "cardd_js": str(CARDD_JS),
        }
        if psc:
            trusted = {"authorities": str(psc.authorities)}
            settings |= {"psc": {"issuer": psc.issuer, "client_id": CLIENT, "secret": SECRET, **trusted}}
        self._settings.write_text(json.dumps(settings, indent=1))

    def start(self) -> None:
        """Start it; it listens when this returns."""
        around = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        with self.log.open("ab") as log:
            self._process = self._begun(around, log)
        nginx.wait_for_port(self.port, self._process)

    def stop(self) -> None:
        """End it; its sessions are gone."""
        if self._process:
            self._process.terminate()
            self._process.wait(15)
            self._process = None

    @contextmanager
    def running(self) -> Iterator[WebPs]:
        """Serve inside the ``with``."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @property
    def _settings(self) -> Path:
        return self.folder / f"{self.server}.json"

    def _begun(self, around: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [*COMMANDS[self.server], str(self._settings)]
        return subprocess.Popen(command, env=around, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
