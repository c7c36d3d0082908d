"""The API's fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.ecps import Place, workbench_at
from tests.api.relayed import Relayed, Site, Start, behind_nginx
from tests.api.workbench import Workbench
from tests.rig import nginx
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import PscRig
from tests.rig.simulator import issue, store


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


@pytest_asyncio.fixture
async def ecps(psc: PscRig, tmp_path: Path) -> AsyncIterator[Workbench]:
    """A workbench whose service is registered there."""
    api = workbench_at(psc, tmp_path)
    await api.start()
    yield api
    await api.stop()


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest_asyncio.fixture
async def liar(authority: Authority) -> AsyncIterator[FakeProvider]:
    """A provider that says whatever the test wants."""
    async with FakeProvider(authority) as provider:
        provider.start["interval"] = 0.01
        yield provider


@pytest_asyncio.fixture
async def desk(liar: FakeProvider, authority: Authority, tmp_path: Path) -> AsyncIterator[Workbench]:
    """A workbench whose service is registered there."""
    api = workbench_at(Place(liar.issuer, authority), tmp_path, CLIENT)
    await api.start()
    yield api
    await api.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    directory = tmp_path_factory.mktemp("site")
    root = nginx.authority(directory)
    issue()  # so that the cards' own authority exists
    return Site(root, nginx.issued(directory, root, "serveur", names="DNS:localhost"), store().chain)


@pytest_asyncio.fixture(params=["TLSv1.2", "TLSv1.2 TLSv1.3"])
async def relayed(request: pytest.FixtureRequest, site: Site, started: Start, tmp_path: Path) -> AsyncIterator[Relayed]:
    async with behind_nginx(site, started, tmp_path, request.param) as made:
        yield made
