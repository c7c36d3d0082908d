"""The client against the real API, with a simulated card and a scripted person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cardd.client import CarddClient
from tests.api.workbench import Workbench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    """The API over real sockets."""
    bench = Workbench(tmp_path)
    await bench.start()
    yield bench
    await bench.stop()


@pytest.fixture
async def paired(bench: Workbench) -> AsyncIterator[CarddClient]:
    """A paired program on TCP."""
    async with CarddClient(bench.base(), await bench.pair(), "en") as client:
        yield client


@pytest.fixture
async def local(bench: Workbench) -> AsyncIterator[CarddClient]:
    """An unpaired program on the Unix socket."""
    async with CarddClient(Path(bench.path), language="en") as client:
        yield client
