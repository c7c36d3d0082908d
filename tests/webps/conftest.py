"""A cardd for the portals' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.workbench import PAGE, PAGE_WITH_PORT, PIN
from tests.rig.prompter import ScriptedPrompter
from tests.webps.tokens import Workstation


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cardd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workstation]:
    bench = Workstation(tmp_path_factory.mktemp("cardd"), person=ScriptedPrompter(PIN, PIN))
    await bench.start()
    for origin in (PAGE, PAGE_WITH_PORT):
        await bench.log_in(origin)
    yield bench
    await bench.stop()
