"""A workstation with the real daemon, and users who type commands on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json

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
        where = ("--socket", str(self.daemon.socket)) if self.daemon else ()
        return [sys.executable, "-m", "cardd.cli.cardctl", *where, *map(str, arguments)]

    def run(self, *arguments: str | Path) -> Ran:
        """Type one command and wait for its end."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path) -> str:
        """Run a command that must do well; return what it answered."""
        ran = self.run(*arguments)
        assert ran.status == 0, ran.err or ran.out
        return ran.out
