"""The npm package for makers who write TypeScript, and for pages."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.workstation import Workstation
from tests.rig.packages import NODE_MODULES
from tests.rig.simulator import simulated_card
from tests.sdk.libraries import run, typescript

MORE = Path(__file__).with_name("more.mjs")
OPTIONS = ("--noEmit", "--strict", "--allowJs", "--checkJs", "--preserveSymlinks")
FOR_NODE = (
    "--target",
    "es2022",
    "--lib",
    "es2022",
    "--module",
    "nodenext",
    "--types",
    "node",
    "--typeRoots",
    NODE_MODULES / "@types",
)
WRONG = """
import { connect } from "cardd-client/node";
const session = await connect().login({ method: "cpx" });
/** @type {number} */ const algorithm = (await session.sign("a", {})).algorithm;
await session.sign(1, {});
"""


def test_the_ten_lines_fit_the_types_and_a_mistake_does_not(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = typescript(tmp_path_factory)
    library.lay(tmp_path, library.printed())
    (tmp_path / "wrong.mjs").write_text(WRONG)
    with pytest.raises(AssertionError) as told:
        run(NODE_MODULES / ".bin/tsc", *OPTIONS, *FOR_NODE, "example.mjs", "wrong.mjs", cwd=tmp_path)
    faults = re.findall(r"(\w+).mjs.(\d+),.*(TS\d+)", str(told.value))
    assert faults == [("wrong", "4", "TS2322"), ("wrong", "5", "TS2769")]


def test_what_the_ten_lines_leave_out(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    program = typescript(tmp_path_factory).lay(tmp_path, MORE.read_text())
    with Workstation(tmp_path).running() as station, station.card(simulated_card()):
        said = run(*program, str(station.daemon.socket), cwd=tmp_path)
    assert said.splitlines() == [
        "state ready cpx 1",
        "situation 1 active",
        "handed over 3000000 true document.unknown",
        "token web-eid:1.0",
        "relayed 404 false upstream.unknown",
        "refused CarddError document.malformed true",
        "after session.closed request.not_found",
    ]


def test_a_program_that_stays_finds_cardd_again_and_waits_for_no_silent_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = typescript(tmp_path_factory).lay(tmp_path, Path(__file__).with_name("silent.mjs").read_text())
    with Workstation(tmp_path).running() as station, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        command = [*program, station.daemon.socket, tmp_path / "silent.sock"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as asked:
            assert asked.stdin
            assert asked.stdout
            said = [asked.stdout.readline()]
            station.daemon.stop()
            station.daemon.start()
            station.wait_for_state("ready")
            asked.stdin.write("\n")
            asked.stdin.flush()
            said += asked.stdout.readlines()
    assert said == ["ready\n", "ready\n", "daemon.unreachable\n"]
