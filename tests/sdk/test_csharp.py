"""The library for .NET, where there is a .NET SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.workstation import Workstation
from tests.rig.simulator import simulated_card
from tests.sdk.libraries import csharp, run


def test_what_the_ten_lines_leave_out(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    place = tmp_path / "more"
    program = csharp(tmp_path_factory).lay(place, Path(__file__).with_name("More.cs").read_text())
    with Workstation(tmp_path).running() as station, station.card(simulated_card()):
        said = run(*program, str(station.daemon.socket), cwd=place)
    assert said.splitlines() == [
        "state ready True 1",
        "situation 1 active",
        "handed over 3000000 True document.unknown",
        "token web-eid:1.0",
        "relayed 404 False",
        "batch 2",
        "refused document.malformed True",
        "after session.closed request.not_found",
    ]
