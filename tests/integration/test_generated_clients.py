"""Clients that generators make of the document a running daemon serves, as they come, do all that an LPS does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.practice import practice
from tests.integration.workstation import ROOT, Workstation
from tests.rig.dmp_messages import INS
from tests.rig.packages import NODE_MODULES

RIG = ROOT / "tests/rig/generators"
QUERY = ROOT / "docs/examples/lps/messages/consult.xml"
SAID = [
    "advised cpx",
    "session of SIMULATION-MEDECIN",
    "signed RS256 256",
    "handed over 24 True",
    "relayed 200 dmp True",
    "refused 403 False",
    "after session.closed",
]


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    with practice(tmp_path_factory.mktemp("practice")) as station:
        yield station


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """A question to the DMP, with a place for the VIHF."""
    message = QUERY.read_text().replace("@INS@", INS).replace("@MESSAGE@", "00000000-0000-4000-8000-000000000001")
    path = tmp_path / "query.xml"
    path.write_text(message)
    return path


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a program prints; it must not fail."""
    around = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    ran = subprocess.run(command, cwd=cwd, env=around, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def saw_the_code(station: Workstation, said: list[str]) -> bool:
    """Whether the program showed what the dialog shows."""
    match = re.fullmatch(r"code (\d{6})", said[0])
    assert match, said
    shown = station.pinentry.shown()
    return any(match[1] in dialog.description for dialog in shown if dialog.kind == "confirm")


def test_the_client_of_openapi_python_client_does_all(station: Workstation, tmp_path: Path, query: Path) -> None:
    served = f"{station.daemon.url}/openapi.json"
    made = tmp_path / "cardd_generated"
    command = ("openapi-python-client", "generate", "--url", served, "--meta", "none", "--output-path", made)
    assert "arning" not in run(*command, cwd=tmp_path)

    said = run(
        sys.executable, RIG / "lps.py", station.daemon.url, query, cwd=tmp_path, PYTHONPATH=str(tmp_path)
    ).splitlines()
    assert saw_the_code(station, said)
    assert said[1:] == SAID


@pytest.mark.skipif(
    not (NODE_MODULES / ".bin/tsc").exists(),
    reason="docs/sdk/typescript/node_modules is not there: without npm, `make setup` installs none",
)
def test_the_types_of_openapi_typescript_do_all(station: Workstation, tmp_path: Path, query: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "lps.ts").symlink_to(RIG / "lps.ts")
    tools = NODE_MODULES / ".bin"
    served = f"{station.daemon.url}/openapi.json"
    run(tools / "openapi-typescript", served, "--output", "api.ts", cwd=tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "--preserveSymlinks")
    run(tools / "tsc", *options, "lps.ts", cwd=tmp_path)

    said = run("node", "lps.js", station.daemon.url, query, cwd=tmp_path).splitlines()
    assert saw_the_code(station, said)
    assert [line.replace("true", "True").replace("false", "False") for line in said[1:]] == SAID
