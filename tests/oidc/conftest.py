"""A provider that we did not write, one that lies, and services of ours at them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cardd.oidc.provider import Provider
from tests.oidc.services import fake_service, service
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.faults import FaultyProxy
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import PscRig


@pytest.fixture
async def own_psc() -> AsyncIterator[PscRig]:
    """One of the test's own, to set up, start and stop."""
    rig = PscRig.installed()
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
    rig = PscRig.installed()
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
