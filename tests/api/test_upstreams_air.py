"""An e-CPS login behind the relay: it has no key, and shows the organisation's certificate (AIR)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from cardd.model import KeyPurpose
from cardd_drivers.pkcs12.source import FilesSource
from tests.api.ecps import LOGIN, ends_in, pair, pending, workbench_at
from tests.api.relayed import Site, upstream
from tests.api.workbench import Got, Workbench
from tests.rig.nginx import Nginx
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import PscRig
from tests.rig.organisation import PASSWORD, make


@dataclass
class Air:
    """An e-CPS session before nginx that trusts the organisation, whose keys are not there yet."""

    api: Workbench
    keys: FilesSource
    path: str
    token: str

    async def who(self) -> Got:
        return await self.api.call("GET", f"{self.path}/upstreams/dmp/who", bearer=self.token)


@pytest_asyncio.fixture
async def air(psc: PscRig, site: Site, tmp_path: Path) -> AsyncIterator[Air]:
    organisation = make(tmp_path)
    keys = FilesSource(
        {KeyPurpose.AUTHENTICATION: organisation.authentication, KeyPurpose.SIGNATURE: organisation.signature}
    )
    nginx = Nginx(tmp_path / "nginx", organisation.certificate("authentication"), site.server)
    with nginx.running():
        api = workbench_at(psc, tmp_path, upstreams={"dmp": upstream(site, nginx.port)})
        await api.start()
        path, token = await pending(api, LOGIN, await pair(api))
        await psc.approve(ALICE)
        assert await ends_in(api, path, token) == (200, "active")
        api.person.attentive.set()
        api.person.pins = [PASSWORD]
        yield Air(api, keys, path, token)
        await api.ecps.close()
        await api.stop()
        await keys.stop()


async def test_the_organisations_certificate_opens_the_door_for_a_person_whom_psc_vouches_for(air: Air) -> None:
    await air.keys.start(air.api.readers)
    for _ in range(3):
        got = await air.who()
        assert "CENTRE DE SANTE SIMULATION" in got.raw.decode()
    assert air.api.person.topics().count("relay") == 1
    rows = [entry for entry in air.api.audit.entries if entry.action == "tls.handshake"]
    assert [(row.outcome.value, row.document, row.consent) for row in rows] == [("done", "dmp localhost", "dialog")]


async def test_without_the_organisations_key_an_e_cps_session_reaches_nothing(air: Air) -> None:
    got = await air.who()
    assert (got.status, got.code) == (409, "session.cannot_sign")
    assert "relay" not in air.api.person.topics()


async def test_nothing_is_reached_by_e_cps_while_the_screen_is_locked(air: Air) -> None:
    await air.keys.start(air.api.readers)
    assert (await air.who()).status == 200
    air.api.sessions.lock_where(lambda _: True)
    locked = await air.who()
    assert locked.code == "session.locked"
    air.api.sessions.unlock_where(lambda _: True)
    assert (await air.who()).status == 200


async def test_a_session_that_ends_while_the_organisations_password_is_typed_reaches_nothing(air: Air) -> None:
    await air.keys.start(air.api.readers)
    air.api.person.attentive.clear()
    air.api.person.is_asked.clear()
    waiting = asyncio.ensure_future(air.who())
    await air.api.person.is_asked.wait()
    assert (await air.api.call("DELETE", air.path, bearer=air.token)).status == 204
    air.api.person.attentive.set()
    got = await waiting
    assert (got.status, got.code) == (401, "session.closed")
