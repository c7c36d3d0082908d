"""One daemon for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.p11.programs import Desk, desk, needs
from tests.rig.simulator import simulated_card


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a CPS3."""
    needs("pkcs11-tool")
    with desk(tmp_path_factory.mktemp("desk"), simulated_card()) as made:
        yield made
