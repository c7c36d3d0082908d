"""``docs/examples/insi/ins.sh`` as a maker runs it: a patient's INS, with the simulated INSi and card."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.station import Station, User, stationed
from tests.rig.dmp import event
from tests.rig.ports import free_port
from tests.rig.simulator import STATE, issue, store

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "insi" / "ins.sh"
PAGE = Path(__file__).parents[2] / "docs" / "simulated-insi.md"
SETTINGS = """
[upstreams.insi]
url = "https://localhost:{port}"
paths = ["/simulation/"]
authorities = "{authorities}"
"""


@pytest.fixture(scope="module")
def insi() -> Iterator[int]:
    """``cardctl simulate insi``, listening."""
    issue()
    port = free_port()
    command = [sys.executable, "-m", "cardd.cli.cardctl", "simulate", "insi", "--json", "--state", str(STATE)]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert event(process.stdout.readline())["event"] == "listening"
        yield port
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def station(insi: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    extra = SETTINGS.format(port=insi, authorities=store().chain)
    with stationed(tmp_path_factory.mktemp("station"), extra) as station:
        yield station


def ins(user: User, *arguments: str) -> tuple[int, str]:
    """What the script says, and its status; ``CARDD`` is where ``cardctl`` on its path finds the test's daemon."""
    assert user.daemon is not None
    command = user.home / "cardctl"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(replace(user, daemon=None).command())} "$@"\n')
    command.chmod(0o755)
    around = {**user.environment, "CARDD": str(user.daemon.socket), "SPECIALTY": "01", "LC_ALL": "C.UTF-8"}
    around["http_proxy"] = "http://127.0.0.1:9"  # which must not be told of the patient; nobody listens there
    around["PATH"] = f"{user.home}:{around['PATH']}"
    done = subprocess.run([SCRIPT, *arguments], env=around, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_a_patient_s_ins_is_found_with_the_card(user: User) -> None:
    user.ok("login", "--assertions")

    assert ins(user, "SIMULATION", "PATIENT", "M", "1985-05-09") == (0, "185059999900181 1.2.250.1.213.1.4.10")
    assert "SPECIALTY=01 docs/examples/insi/ins.sh SIMULATION PATIENT M 1985-05-09" in PAGE.read_text()
    assert ins(user, "O'CONNOR & <FILS>", "JEAN", "M", "1985-05-09") == (1, "Aucune identite trouvee")
    assert ins(user, "SIMULATION", "PATIENT", "M", "09/05/1985") == (1, "sim:insi.traits.DateNaissance")
