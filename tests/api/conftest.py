"""The API's fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from tests.api.workbench import Workbench


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Workbench]:
    """A workbench as configured by default, with a card in the first of two readers."""
    bench = Workbench(tmp_path)
    await bench.start()
    yield bench
    await bench.stop()


@pytest_asyncio.fixture
async def started(tmp_path: Path) -> AsyncIterator[Callable[[Workbench], Awaitable[Workbench]]]:
    """Start a workbench that the test made itself."""
    async with AsyncExitStack() as stack:

        async def start(bench: Workbench) -> Workbench:
            await bench.start()
            stack.push_async_callback(bench.stop)
            return bench

        yield start
