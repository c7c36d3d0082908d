"""An e-CPS session reaches a server that wants a certificate with the organisation's (AIR, EX_AIR-080)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.config import Upstream
from cardd.model import Choice, KeyPurpose
from cardd_drivers.pkcs12.source import FilesSource
from tests.api.ecps import LOGIN, ends_in, pair, pending, workbench_at
from tests.api.relayed import Peer, Site, upstream
from tests.api.workbench import Got, Json, Workbench
from tests.rig.nginx import Nginx
from tests.rig.oidc.people import CLAIRE
from tests.rig.oidc.provider import PscRig
from tests.rig.organisation import PASSWORD, SIRET, Organisation, make


@pytest.fixture
def organisation(tmp_path: Path) -> Organisation:
    return make(tmp_path)


@pytest_asyncio.fixture
async def reached(psc: PscRig, site: Site, organisation: Organisation, tmp_path: Path) -> AsyncIterator[Workbench]:
    """A workbench with e-CPS, and nginx that lets the organisation's authentication certificate in and no other."""
    nginx = Nginx(tmp_path / "nginx", organisation.certificate("authentication"), site.server)
    with nginx.running():
        api = workbench_at(psc, tmp_path, upstreams={"dmp": upstream(site, nginx.port)})
        await api.start()
        yield api
        await api.stop()


@pytest_asyncio.fixture
async def keys(reached: Workbench, organisation: Organisation) -> AsyncIterator[FilesSource]:
    source = FilesSource(
        {KeyPurpose.AUTHENTICATION: organisation.authentication, KeyPurpose.SIGNATURE: organisation.signature}
    )
    await source.start(reached.readers)
    yield source
    await source.stop()


async def logged_in(api: Workbench, psc: PscRig) -> tuple[str, str]:
    path, token = await pending(api, {**LOGIN, "login_hint": CLAIRE}, await pair(api))
    await psc.approve(CLAIRE)
    assert await ends_in(api, path, token) == (200, "active")
    api.person.attentive.set()
    return path, token


async def who(api: Workbench, path: str, token: str) -> Got:
    return await api.call("GET", f"{path}/upstreams/dmp/who", bearer=token)


async def test_the_server_knows_the_organisation_once_the_person_agreed(
    reached: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    path, token = await logged_in(reached, psc)
    reached.person.pins = [PASSWORD]
    for got in await asyncio.gather(*(who(reached, path, token) for _ in range(5))):
        assert (got.status, SIRET in got.raw.decode()) == (200, True)
    asked = reached.person.questions[-1]
    assert (asked.topic, "lent" in asked.params) == ("relay", True)
    assert reached.person.topics().count("relay") == 1
    [row] = [entry for entry in reached.audit.entries if entry.action == "tls.handshake"]
    assert (row.outcome.value, row.document, row.consent) == ("done", "dmp localhost", "dialog")
    assert row.certificate


async def test_an_assertion_and_a_connection_at_once_ask_for_one_password(
    reached: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    path, token = await logged_in(reached, psc)
    reached.person.pins = [PASSWORD]
    vihf: Json = {"type": "vihf", "lps": {"name": "LPS SIMULATION", "homologation": "SIM-0001"}}
    issued, connected = await asyncio.gather(
        reached.call("POST", f"{path}/assertions", vihf, bearer=token), who(reached, path, token)
    )
    assert (issued.status, connected.status) == (200, 200)
    assert [asked.question.topic for asked in reached.person.pin_questions] == ["organisation"]


async def test_who_refuses_reaches_nothing_and_gives_no_password(
    reached: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    path, token = await logged_in(reached, psc)
    reached.person.choice = Choice.NO
    got = await who(reached, path, token)
    assert (got.status, got.code) == (403, "consent.refused")
    assert reached.person.pin_questions == []


async def test_while_the_screen_is_locked_nothing_is_reached(
    reached: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    path, token = await logged_in(reached, psc)
    reached.person.pins = [PASSWORD]
    assert (await who(reached, path, token)).status == 200
    reached.sessions.lock_where(lambda _: True)
    assert (await who(reached, path, token)).code == "session.locked"
    reached.sessions.unlock_where(lambda _: True)
    assert (await who(reached, path, token)).status == 200


async def test_without_the_organisation_s_key_it_reaches_nothing(reached: Workbench, psc: PscRig) -> None:
    path, token = await logged_in(reached, psc)
    assert (await who(reached, path, token)).code == "session.cannot_sign"
    assert "relay" not in reached.person.topics()


async def test_a_session_that_ends_while_the_password_is_typed_reaches_nothing(
    reached: Workbench, psc: PscRig, keys: FilesSource
) -> None:
    path, token = await logged_in(reached, psc)
    reached.person.pins = [PASSWORD]
    reached.person.attentive.clear()
    reached.person.is_asked.clear()
    waiting = asyncio.ensure_future(who(reached, path, token))
    await reached.person.is_asked.wait()
    assert (await reached.call("DELETE", path, bearer=token)).status == 204
    reached.person.attentive.set()
    got = await waiting
    assert (got.status, got.code) == (401, "session.closed")
    assert "tls.handshake done" not in reached.audit.acts()


async def test_a_tunnel_shows_the_organisation_once_the_person_agreed(
    psc: PscRig, site: Site, organisation: Organisation, tmp_path: Path
) -> None:
    peer = Peer(replace(site, clients=organisation.certificate("authentication")))
    async with peer.listening() as port:
        mail = Upstream(name="mail", kind="tls", url=f"tls://localhost:{port}", authorities=site.authority.certificate)
        api = workbench_at(psc, tmp_path, upstreams={"mail": mail})
        await api.start()
        source = FilesSource({KeyPurpose.AUTHENTICATION: organisation.authentication})
        await source.start(api.readers)
        path, token = await logged_in(api, psc)
        api.person.pins = [PASSWORD]
        headers = {"Authorization": f"Bearer {token}"}
        async with api.http().ws_connect(f"{api.base()}{path}/tunnels/mail", headers=headers) as socket:
            await socket.send_bytes(b"x")
            assert await socket.receive_bytes(timeout=20) == b"x"
        assert SIRET in str(peer.met)
        assert api.person.questions[-1].topic == "relay"
        [row] = [entry for entry in api.audit.entries if entry.action == "tls.handshake"]
        assert (row.outcome.value, row.document, row.consent) == ("done", "mail localhost", "dialog")
        await source.stop()
        await api.stop()
