"""A workstation with a doctor's card, at which a maker tries a library for the first time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.workstation import Workstation
from tests.rig.simulator import simulated_card


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    station = Workstation(tmp_path_factory.mktemp("station"))
    with station.running(), station.card(simulated_card()):
        yield station
