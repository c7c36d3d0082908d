"""A practice: a workstation with a doctor's card, before the simulated DMP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.workstation import Workstation
from tests.rig.dmp import event
from tests.rig.ports import free_port
from tests.rig.simulator import STATE, issue, simulated_card, store

SETTINGS = """
[upstreams.dmp]
url = "https://localhost:{port}"
paths = ["/simulation/"]
authorities = "{authorities}"
"""


@contextmanager
def simulated_dmp(port: int) -> Iterator[None]:
    """``cardctl simulate dmp``, listening."""
    command = [sys.executable, "-m", "cardd.cli.cardctl", "simulate", "dmp", "--json", "--state", str(STATE)]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert event(process.stdout.readline())["event"] == "listening"
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)


@contextmanager
def practice(directory: Path) -> Iterator[Workstation]:
    """Everything runs, and the card is in."""
    issue()
    port = free_port(2)
    station = Workstation(directory, extra=SETTINGS.format(port=port, authorities=store().chain))
    with simulated_dmp(port), station.running(), station.card(simulated_card()):
        yield station
