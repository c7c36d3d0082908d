"""A fresh simulated card, powered, under a terminal; and a pcscd whose readers are there, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.pcscd import Pcscd
from tests.rig.simulator import simulated_card, wait_for_card
from tests.simulator.terminal import Terminal


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(simulated_card())


@pytest.fixture
def pcscd(tmp_path: Path) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path)
    pcscd.start()
    try:
        wait_for_card(pcscd, present=False)
        yield pcscd
    finally:
        pcscd.stop()
