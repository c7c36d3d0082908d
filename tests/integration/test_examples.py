"""The small practice software of docs/examples/lps, run as its page says, against the simulated DMP."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.practice import practice
from tests.integration.workstation import ROOT, Workstation
from tests.rig.packages import built_by_dotnet, packaged
from tests.rig.ports import free_port

EXAMPLES = ROOT / "docs" / "examples" / "lps"
RUN = ROOT / "docs/examples/ci/run.sh"
SHOWN = re.compile(r"Accept this program if the dialog shows (\d{6})")

SILENT = ("no answer of ", "cardd ne répond pas")
COMMANDS = {"python": (sys.executable, str(EXAMPLES / "lps.py")), "curl": (str(EXAMPLES / "lps.sh"),)}


class Example:
    """One of the programs, with a home of its own."""

    def __init__(self, station: Workstation, command: tuple[str, ...], home: Path) -> None:
        self.station = station
        self.kept = home / "exemple-lps" / "cardd-secret"
        self._command = command
        self._environment = {
            **os.environ,
            "CARDD": str(station.daemon.socket),
            "XDG_CONFIG_HOME": str(home),
            "PYTHONIOENCODING": "utf-8",
        }

    def run(self, *order: str, **around: str) -> tuple[int, str, str]:
        """Return the exit status, and what it said."""
        done = subprocess.run(
            [*self._command, *order],
            env={**self._environment, **around},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def codes(self) -> list[str]:
        """The digits of the dialogs about pairing so far."""
        shown = "\n".join(dialog.description for dialog in self.station.pinentry.shown())
        return re.findall(r"^\D*(\d{6})\D*$", shown, re.MULTILINE)


@pytest.fixture(scope="module", params=[*COMMANDS, "csharp"])
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    if request.param in COMMANDS:
        return COMMANDS[request.param]
    library = packaged("csharp", tmp_path_factory) / "csharp"
    folder = tmp_path_factory.mktemp("csharp") / "lps"
    shutil.copytree(EXAMPLES, folder)
    built_by_dotnet(folder, f"-p:CarddClient={library}")
    return "dotnet", str(folder / "built/lps.dll")


@pytest.fixture(scope="module")
def station(command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """One for each program: a person who refuses several of them at once is asked no more."""
    with practice(tmp_path_factory.mktemp("practice")) as station:
        yield station


@pytest.fixture
def example(station: Workstation, command: tuple[str, ...], tmp_path: Path) -> Example:
    return Example(station, command, tmp_path)


def test_the_example_pairs_once_with_the_digits_of_the_dialog_then_consults_adds_and_reads(example: Example) -> None:
    status, out, told = example.run()
    assert (status, "Compte rendu SIMULATION" in out.splitlines()) == (0, True), told
    shown = SHOWN.fullmatch(told)
    assert shown, told
    assert example.codes()[-1] == shown[1]
    assert stat.S_IMODE(example.kept.stat().st_mode) == 0o600

    status, added, told = example.run("add", "Examen clinique SIMULATION")
    assert (status, told, added.startswith("added 2.25.")) == (0, "", True)
    identifier = added.partition(" ")[2]
    status, out, told = example.run("read", identifier)
    assert (status, out, told) == (0, "Examen clinique SIMULATION", "")
    assert example.codes()[-1] == shown[1]


def test_the_example_pairs_again_once_unpaired_and_says_what_user_dmp_and_cardd_refuse(example: Example) -> None:
    example.kept.parent.mkdir()
    example.kept.write_text("0123456789abcdef.unpaired")
    example.kept.chmod(0o644)
    status, _, told = example.run()
    assert (status, "read" in told or "lire" in told, str(example.kept) in told) == (1, True, True), told
    example.kept.chmod(0o600)
    example.station.pinentry.answer("cancel")
    status, _, told = example.run()
    assert (status, "Appairage refusé" in told) == (1, True), told

    status, _, told = example.run("read", "2.25.404")
    assert (status, bool(SHOWN.search(told)), "sim:document.unknown" in told) == (1, True, True), told
    assert stat.S_IMODE(example.kept.stat().st_mode) == 0o600

    status, _, told = example.run(CARDD=str(example.kept))
    assert (status, told.startswith(SILENT)) == (1, True)


def _beside(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path),
        "DMP_PORT": str(free_port()),
        "CARDD_PORT": str(free_port()),
    }


def test_a_software_is_tested_by_one_command_without_card_reader_and_person(tmp_path: Path) -> None:
    command = [str(RUN), sys.executable, str(EXAMPLES / "lps.py")]
    done = subprocess.run(command, env=_beside(tmp_path), check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Compte rendu SIMULATION" in done.stdout
    assert [left.name for left in tmp_path.iterdir()] == ["home"]


def test_a_job_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    command = [str(RUN), "sh", "-c", "read -r word; echo $word; exec sleep 60"]
    with subprocess.Popen(
        command, env=_beside(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.write("begun\n")
        job.stdin.flush()
        assert job.stdout.readline() == "begun\n"
        job.terminate()
        assert job.wait(20) == 128 + signal.SIGTERM
        assert job.stdout.read() == ""  # nobody has it open any more
    assert list(tmp_path.glob("tmp.*")) == []
