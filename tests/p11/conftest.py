"""One daemon, and one server that it is used with, for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.p11.programs import Desk, desk, needs
from tests.rig.nginx import Nginx, Pair, authority, issued
from tests.rig.simulator import simulated_card, store


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a CPS3."""
    needs("pkcs11-tool")
    with desk(tmp_path_factory.mktemp("desk"), simulated_card()) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nginx, Pair]]:
    """nginx that wants a certificate of a card, and the authority of its own."""
    here = tmp_path_factory.mktemp("server")
    own = authority(here)
    pair = issued(here, own, "server", names="DNS:localhost,IP:127.0.0.1")
    with Nginx(here / "nginx", store().chain, pair).running() as nginx:
        yield nginx, own
