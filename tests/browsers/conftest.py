"""Two real browsers, a portal for their pages, and a workstation that one of the portal's names may call.

One of each serves all tests: a browser takes seconds to start.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browsers.opening import browsing
from tests.integration.workstation import Workstation
from tests.rig.browsers import NAMES, Browser, Portal
from tests.rig.simulator import simulated_card


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with Portal(tmp_path_factory.mktemp("portal")).running() as portal:
        yield portal


@pytest.fixture(scope="session", params=NAMES)
def browser(
    request: pytest.FixtureRequest, portal: Portal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    with browsing(request.param, [portal.port], portal, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="session")
def workstation(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """A workstation with a card in it, where pages of portal.test may call, and of no other name."""
    allowed = f'\n[web]\nallowed_origins = ["{portal.origin()}"]\n'
    workstation = Workstation(tmp_path_factory.mktemp("workstation"), extra=allowed)
    with workstation.running(), workstation.card(simulated_card()):
        yield workstation
