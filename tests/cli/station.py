"""A workstation with the real daemon, and users who type commands on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cardd_simulators.cards.card import SimulatedCard
from tests.rig import warm
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json, UnixConnection
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import inserted, simulated_card
from tests.rig.waiting import eventually_here

LIMIT = 60.0


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """What it answered with ``--json``."""
        return cast(Json, json.loads(self.out))

    def rows(self, key: str) -> list[Json]:
        """One list of its JSON answer."""
        return cast(list[Json], self.json[key])


@dataclass(frozen=True)
class User:
    """Somebody at a shell, with folders of their own. ``daemon`` is where their cardctl finds it, if any."""

    home: Path
    daemon: DaemonProcess | None = None
    locale: str = "en_GB.UTF-8"

    @property
    def environment(self) -> dict[str, str]:
        """The shell's environment."""
        inherited = {name: value for name, value in os.environ.items() if name not in ("LC_MESSAGES", "LANG")}
        of_daemon = self.daemon.environment if self.daemon else {}
        return {
            **inherited,
            **of_daemon,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_RUNTIME_DIR": str(self.home / "runtime"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PYTHONIOENCODING": "utf-8",
            "LC_ALL": self.locale,
        }

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line of a cardctl."""
        return [sys.executable, "-m", "cardd.cli.cardctl", *self.given(*arguments)]

    def given(self, *arguments: str | Path) -> list[str]:
        """What the command line gives to cardctl."""
        where = ("--socket", str(self.daemon.socket)) if self.daemon else ()
        return [*where, *map(str, arguments)]

    def run(self, *arguments: str | Path) -> Ran:
        """Type one command and wait for its end."""
        done = warm.run("cardctl", self.given(*arguments), self.environment, LIMIT)
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path) -> str:
        """Run a command that must do well; return what it answered."""
        ran = self.run(*arguments)
        assert ran.status == 0, ran.err or ran.out
        return ran.out

    @contextmanager
    def tunnel(self, name: str, *options: str) -> Iterator[str]:
        """Type ``cardctl tunnel`` and yield where it listens; it must end well when it is told to."""
        command = self.command("tunnel", name, "--json", *options)
        with subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = ""
            while not told.endswith("}\n"):
                line = process.stdout.readline()
                assert line, told
                told += line
            try:
                yield str(json.loads(told)["url"])
            finally:
                process.send_signal(signal.SIGINT)
                assert process.wait(20) == 0


@dataclass(frozen=True)
class Station:
    """The machine."""

    pcscd: Pcscd
    daemon: DaemonProcess
    pinentry: ScriptedPinentry
    card: SimulatedCard

    def wait_for_cards(self, count: int) -> None:
        """Return once the daemon has so many cards: pcscd may tell others earlier."""
        with closing(UnixConnection(self.daemon.socket)) as connection:
            eventually_here(lambda: len(_cards(connection)) == count)


def _cards(connection: UnixConnection) -> list[Json]:
    connection.request("GET", "/v1/cards")
    answer = json.loads(connection.getresponse().read())
    return cast(list[Json], answer.get("cards", []))  # none while the PC/SC service is not there yet


@contextmanager
def stationed(directory: Path, extra: str = "") -> Iterator[Station]:
    """Real pcscd, real daemon with these further settings, a simulated card in the first slot."""
    pcscd, pinentry = Pcscd(directory), ScriptedPinentry(directory, reads=0)
    daemon = DaemonProcess(directory, pinentry=pinentry.path, environment=pcscd.environment, extra=extra, is_read=False)
    pcscd.start()
    try:
        daemon.start()
        with inserted(simulated_card(), pcscd) as card:
            station = Station(pcscd, daemon, pinentry, card)
            station.wait_for_cards(1)
            yield station
    finally:
        daemon.stop()
        pcscd.stop()
