"""A provider that we did not write, one that lies, and services of ours at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from cardd.oidc.provider import Provider
from tests.oidc.services import fake_service, service
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.faults import FaultyProxy
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import PscRig, is_installed


@pytest.fixture(scope="session")
def running_psc() -> Iterator[PscRig]:
    rig = _rig()
    asyncio.run(rig.start())
    yield rig
    asyncio.run(rig.stop())


@pytest.fixture
async def psc(running_psc: PscRig) -> PscRig:
    """One for all tests that change nothing but what ``reset`` restores."""
    await running_psc.reset()
    return running_psc


@pytest.fixture
async def own_psc() -> AsyncIterator[PscRig]:
    """One of the test's own, to set up, start and stop."""
    rig = _rig()
    yield rig
    await rig.stop()


@pytest.fixture
async def provider(psc: PscRig) -> AsyncIterator[Provider]:
    async with service(psc) as made:
        yield made


@pytest.fixture
async def proxy() -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(Authority()) as made:
        yield made


@pytest.fixture
async def psc_behind_proxy(proxy: FaultyProxy) -> AsyncIterator[PscRig]:
    rig = _rig()
    rig.authority, rig.public_port = proxy.authority, proxy.port
    await rig.start()
    proxy.target = rig.address
    yield rig
    await rig.stop()


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
async def at_fake(fake: FakeProvider) -> AsyncIterator[Provider]:
    async with fake_service(fake) as made:
        yield made


def _rig() -> PscRig:
    if not is_installed():
        pytest.skip("node or its oidc-provider is not here: make setup installs both")
    return PscRig()
