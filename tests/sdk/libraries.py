"""The libraries for makers as they are built, and their ten lines as their pages print them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.integration.workstation import ROOT, Workstation
from tests.rig.packages import built_by_dotnet, packaged

SDK = ROOT / "docs/sdk"
SOCKET = "/run/cardd/cardd.sock"
SOFTWARE = "mon-lps"
SAID = ["signed: RS256 256 bytes", "VIHF: true"]
LIMIT = 60.0

Command = tuple[str | Path, ...]


@dataclass(frozen=True)
class Library:
    """A built library. ``lay`` puts a program into a folder and returns how it is started there."""

    page: Path
    program: Path
    over_tcp: Mapping[str, str]
    lay: Callable[[Path, str], Command]

    def printed(self) -> str:
        """The ten lines, which the page prints as they are."""
        text = self.program.read_text()
        assert f"\n{text}```\n" in self.page.read_text()
        return text


class TenLines:
    """The ten lines of a library, laid into a folder of their user, for a daemon at an address of the tests."""

    def __init__(self, library: Library, station: Workstation, folder: Path) -> None:
        self.station = station
        self.kept = folder / "config" / SOFTWARE / "cardd-secret"
        self._library = library
        self._folder = folder
        self.speak_to(str(station.daemon.socket))

    def speak_to(self, where: str) -> None:
        """Use another socket, or a URL."""
        text = self._library.printed()
        for before, after in self._library.over_tcp.items() if "://" in where else ():
            assert before in text
            text = text.replace(before, after)
        assert SOCKET in text
        place = self._folder / f"program{len(list(self._folder.iterdir()))}"
        place.mkdir()
        self._command = self._library.lay(place, text.replace(SOCKET, where))
        self._place = place

    def start(self) -> subprocess.Popen[str]:
        """One run."""
        around = {**os.environ, "XDG_CONFIG_HOME": str(self._folder / "config")}
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, cwd=self._place, env=around, stdout=pipe, stderr=pipe, text=True)

    def codes(self, *runs: subprocess.Popen[str]) -> list[str]:
        """The digits that the runs showed; all did the rest as they should."""
        shown = []
        for run in runs or (self.start(),):
            out, told = _said(run)
            assert run.returncode == 0, out + told
            *before, signed, vihf = out.splitlines()
            assert [signed, vihf] == SAID
            shown += [match[1] for line in before if (match := re.fullmatch(r"compare: (\d{6})", line))]
        return shown

    def refusal(self) -> str:
        """What the run says where it fails."""
        run = self.start()
        out, told = _said(run)
        assert run.returncode != 0, out
        return told

    def dialogs(self) -> int:
        """How many dialogs people have seen."""
        return len(self.station.pinentry.shown())

    def mode(self) -> int:
        """Of the file that keeps the secret."""
        return stat.S_IMODE(self.kept.stat().st_mode)


def _said(run: subprocess.Popen[str]) -> tuple[str, str]:
    """What the run said until its end, which comes in time."""
    try:
        return run.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        run.kill()
        pytest.fail(f"no end after {LIMIT:.0f} s: {run.communicate()}")


# --- how each is built ---


def run(*command: str | Path, cwd: Path) -> str:
    """What a tool prints; it must not fail."""
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT * 2, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def python(factory: pytest.TempPathFactory) -> Library:
    """The wheel in an environment with what it asks for, and nothing else."""
    (wheel,) = packaged("wheels", factory).glob("cardd_client-*.whl")
    folder = factory.mktemp("python")
    venv.create(folder / "venv", symlinks=True)
    interpreter = folder / "venv/bin/python"
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    ZipFile(wheel).extractall(site)
    here = Path(str(metadata.distribution("aiohttp").locate_file("")))
    for package in _needed("aiohttp") | _needed("msgspec"):
        for top in {file.parts[0] for file in metadata.files(package) or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(here / top)

    def lay(place: Path, text: str) -> Command:
        (place / "example.py").write_text(text)
        return interpreter, "example.py"

    return Library(SDK / "python/README.md", SDK / "python/example.py", {}, lay)


def typescript(factory: pytest.TempPathFactory) -> Library:
    """What npm packed, installed where nothing else is."""
    (package,) = packaged("typescript", factory).glob("*.tgz")
    folder = factory.mktemp("typescript")
    (folder / "package.json").write_text("{}")
    run("npm", "install", "--offline", "--silent", "--no-audit", "--no-fund", package, cwd=folder)

    def lay(place: Path, text: str) -> Command:
        (place / "example.mjs").write_text(text)
        (place / "node_modules").symlink_to(folder / "node_modules")
        return "node", "--preserve-symlinks", "example.mjs"

    over_tcp = {"connect({ socket:": "connect({ at:"}
    return Library(SDK / "typescript/README.md", SDK / "typescript/example.mjs", over_tcp, lay)


def csharp(factory: pytest.TempPathFactory) -> Library:
    """The sources with their types, built with a program."""
    sources = packaged("csharp", factory) / "csharp"

    def lay(place: Path, text: str) -> Command:
        shutil.copytree(sources, place, dirs_exist_ok=True)
        (place / "Program.cs").write_text(text)
        built_by_dotnet(place, "-p:OutputType=Exe")
        return "dotnet", "built/Cardd.Client.dll"

    return Library(SDK / "csharp/README.md", SDK / "csharp/example/Program.cs", {}, lay)


LIBRARIES = {each.__name__: each for each in (python, typescript, csharp)}


def _needed(name: str) -> set[str]:
    found, waiting = {name}, [name]
    while waiting:
        for line in metadata.requires(waiting.pop()) or ():
            requirement = Requirement(line)
            package = canonicalize_name(requirement.name)
            if package not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(package)
                waiting.append(package)
    return found
