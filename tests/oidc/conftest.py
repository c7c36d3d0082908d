"""A provider that we did not write, and a service of ours at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cardd.oidc.provider import Provider
from tests.oidc.services import service, trusting
from tests.rig.oidc.provider import PscRig, is_installed


@pytest.fixture
async def psc() -> AsyncIterator[PscRig]:
    if not is_installed():
        pytest.skip("node or its oidc-provider is not here: make setup installs both")
    rig = PscRig()
    await rig.start()
    yield rig
    await rig.stop()


@pytest.fixture
async def provider(psc: PscRig) -> AsyncIterator[Provider]:
    made = service(psc.issuer, trusting(psc.authority))
    yield made
    await made.close()
