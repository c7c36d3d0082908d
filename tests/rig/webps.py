"""The portals of docs/examples/webps as they stand: each a server over https, under a name of the rig."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Literal
from urllib.parse import quote

import cardd.web
from tests.rig import nginx
from tests.rig.browsers import Tab
from tests.rig.ports import free_port
from tests.rig.psc_simulator import CLIENT, SECRET, PscSimulator

EXAMPLE = Path(__file__).parents[2] / "docs/examples/webps"
CARDD_JS = Path(cardd.web.__file__).with_name("cardd.js")
LIMIT = 15.0  # seconds, for a page to say something
DOCTOR, ALICE = "899000000010", "899700000005"  # the simulated card's holder, and somebody else
PEOPLE = """
[[people]]
national_id = "899000000010"
given_name = "CAMILLE"
family_name = "SIMULATION-MEDECIN"
[[people]]
national_id = "899700000005"
given_name = "ALICE"
"""
PRESS = """
const found = document.getElementById(arguments[0]);
if (!found.offsetParent || found.ariaDisabled === "true") return false;
found.click();
return true;
"""
Server = Literal["python", "node"]
SERVERS: tuple[Server, ...] = ("python", "node")
# each server's clocks run ahead by as many seconds as the file in PORTAL_CLOCK has bytes
AHEAD_PYTHON = """
import os, runpy, sys, time
ahead = lambda clock: lambda: clock() + os.stat(os.environ["PORTAL_CLOCK"]).st_size
time.time, time.monotonic = ahead(time.time), ahead(time.monotonic)
del sys.argv[0]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
AHEAD_NODE = """
import {statSync} from "node:fs";
const [now, wall] = [performance.now.bind(performance), Date.now];
const ahead = () => statSync(process.env.PORTAL_CLOCK).size * 1000;
performance.now = () => now() + ahead();
Date.now = () => wall() + ahead();
"""
COMMANDS: Mapping[Server, Sequence[str]] = {
    "python": (sys.executable, "-c", AHEAD_PYTHON, str(EXAMPLE / "portal.py")),
    "node": ("node", "--import", f"data:text/javascript,{quote(AHEAD_NODE)}", str(EXAMPLE / "portal.mjs")),
}


@dataclass
class WebPs:
    """One portal; its ``authorities.pem`` and ``lists.pem`` are in ``folder``."""

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
        self._clock.touch()
        around = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PORTAL_CLOCK": str(self._clock)}
        with (self.folder / f"{self.server}.log").open("ab") as log:
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

    @contextmanager
    def later(self, seconds: int) -> Iterator[None]:
        """Have so much time gone by for this server, until the end of the block."""
        os.truncate(self._clock, seconds)
        try:
            yield
        finally:
            os.truncate(self._clock, 0)

    @property
    def _settings(self) -> Path:
        return self.folder / f"{self.server}.json"

    @property
    def _clock(self) -> Path:
        return self.folder / f"{self.server}.clock"

    def _begun(self, around: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [*COMMANDS[self.server], str(self._settings)]
        return subprocess.Popen(command, env=around, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; each look at a page costs some milliseconds of the browser's."""
    deadline = monotonic() + LIMIT
    while not condition():
        assert monotonic() < deadline, "it never came"
        sleep(0.05)


def mobiles(folder: Path) -> PscSimulator:
    """Start Pro Santé Connect, with the mobiles of the doctor and of ALICE."""
    (folder / "people.toml").write_text(PEOPLE)
    simulator = PscSimulator(folder)
    simulator.start("--people", str(folder / "people.toml"))
    return simulator


class PortalPage:
    """A portal's page as its person has it, in French."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    def words(self) -> str:
        """Return what stands on it, all spaces plain."""
        return str(self.tab.run("return document.body?.innerText ?? ''")).replace("\N{NARROW NO-BREAK SPACE}", " ")

    def reads(self, sentence: str) -> str:
        """Return the sentence once it stands on the page."""
        try:
            wait_for(lambda: sentence in self.words())
        except AssertionError:
            raise AssertionError(f"{sentence!r} is not in {self.words()!r}") from None
        return sentence

    def press(self, name: str) -> None:
        """Press the button of this id, once it can be pressed."""
        wait_for(lambda: bool(self.tab.run(PRESS, name)))

    def field(self, name: str) -> str:
        """Return the text of the element of this id."""
        return str(self.tab.run("return document.getElementById(arguments[0]).textContent", name))

    def log_in(self) -> None:
        """Log in by card."""
        self.press("card")
        self.reads("Vous êtes connecté(e)")

    def ask_mobile(self, national_id: str) -> str:
        """Log in by e-CPS, as far as the page goes; return the digits."""
        self.tab.run("document.getElementById('national-id').value = arguments[0]; ask.requestSubmit();", national_id)
        self.reads("Il reste")
        return self.field("digits")

    def sign(self) -> None:
        """Sign the document that is shown."""
        self.press("sign")
        self.reads("Signé. Le serveur a vérifié la signature.")

    def log_out(self) -> None:
        """Log out."""
        self.press("leave")
        self.reads("Se connecter par carte")
