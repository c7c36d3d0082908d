"""Two real browsers, a portal for their pages, and a workstation that one of the portal's names may call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cardd.cli.policies import Policies
from tests.integration.workstation import Workstation
from tests.rig.browsers import NAMES, Browser, Portal, running
from tests.rig.simulator import simulated_card


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with Portal(tmp_path_factory.mktemp("portal")).running() as portal:
        yield portal


@pytest.fixture(scope="module")
def public(portal: Portal) -> list[int]:
    """The ports of servers that browsers take for others than this machine's."""
    return [portal.port]


@pytest.fixture(scope="module", params=NAMES)
def browser(
    request: pytest.FixtureRequest, portal: Portal, public: list[int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser whose administrator lets policy.test through to this machine."""
    directory = tmp_path_factory.mktemp("browser")
    root = directory / "root"
    root.mkdir()
    Policies(root, (request.param,)).apply([portal.origin("policy.test")], everywhere=True)
    with running(request.param, public, directory, root / "etc") as browser:
        yield browser


@pytest.fixture(scope="module")
def workstation(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """A workstation with a card in it, where pages of portal.test may call, and of no other name."""
    allowed = f'\n[web]\nallowed_origins = ["{portal.origin()}"]\n'
    workstation = Workstation(tmp_path_factory.mktemp("workstation"), extra=allowed)
    with workstation.running(), workstation.card(simulated_card()):
        yield workstation
