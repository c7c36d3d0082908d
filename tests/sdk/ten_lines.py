"""The ten lines that each library begins with: the program of its page, run as it is printed."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.integration.workstation import ROOT, Workstation

SDK = ROOT / "docs/sdk"
SOFTWARE = "mon-lps"
SAID = ["signed: RS256 256 bytes", "VIHF: true"]


class TenLines:
    """A program that was laid into a folder, and its user's home."""

    def __init__(self, station: Workstation, command: tuple[str | Path, ...], folder: Path) -> None:
        self.station = station
        self.folder = folder
        self.kept = folder / "config" / SOFTWARE / "cardd-secret"
        self._command = command

    def run(self, **environment: str) -> tuple[int, str, str]:
        """Its exit status, and what it said."""
        around = {**os.environ, "XDG_CONFIG_HOME": str(self.folder / "config"), **environment}
        ran = subprocess.run(
            self._command, cwd=self.folder, env=around, capture_output=True, text=True, timeout=60, check=False
        )
        return ran.returncode, ran.stdout, ran.stderr

    def succeeds(self) -> list[str]:
        """The digits that it showed; it did the rest as it should."""
        status, out, told = self.run()
        assert status == 0, out + told
        said = out.splitlines()
        assert said[-2:] == SAID
        return [match[1] for line in said[:-2] if (match := re.fullmatch(r"compare: (\d{6})", line))]

    def pairs_once(self) -> None:
        """Its first run shows what the dialog shows, and keeps the secret for its second."""
        (code,) = self.succeeds()
        assert any(code in dialog.description for dialog in self.station.pinentry.shown())
        assert stat.S_IMODE(self.kept.stat().st_mode) == 0o600
        assert self.succeeds() == []


def printed_in(page: Path, program: Path) -> str:
    """The program, which the page of its library prints."""
    text = program.read_text()
    assert f"```{page.parent.name}\n{text}```" in page.read_text()
    return text


def for_station(text: str, station: Workstation, replaced: Mapping[str, str] | None = None) -> str:
    """The program, for a daemon whose socket is elsewhere."""
    for before, after in {"/run/cardd/cardd.sock": str(station.daemon.socket), **(replaced or {})}.items():
        assert before in text
        text = text.replace(before, after)
    return text
