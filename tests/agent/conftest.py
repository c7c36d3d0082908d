"""The desk that agents come to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """One that listens, and knows nobody yet."""
    desk = Desk(tmp_path)
    desk.start()
    yield desk
    await desk.stop()
