"""One workstation for one test: nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.workstation import Workstation


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    """Running, without a card."""
    with Workstation(tmp_path).running() as workstation:
        yield workstation
