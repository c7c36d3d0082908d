"""What the tests of logins through Pro Santé Connect share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cardd.config import Config, Dmp, Psc, Upstream
from cardd.identity.ecps.direct import DirectLogin
from cardd.identity.ecps.state import ResumableSession, ResumableSessions
from cardd.oidc.tokens import TokenSet
from cardd.outward import DIRECT, Outward
from tests.api.workbench import Workbench
from tests.rig.memory import RunningClock
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import SECRET, PscRig

DMP = Dmp()
NONE: Mapping[str, Upstream] = MappingProxyType({})
LOGIN: dict[str, object] = {"method": "ecps", "login_hint": ALICE}


@dataclass(frozen=True)
class Place:
    """Where a provider is, and who vouches for its certificate."""

    issuer: str
    authority: Authority


def workbench_at(
    psc: Place | PscRig,
    directory: Path,
    client: str = "basic",
    *,
    dmp: Dmp = DMP,
    upstreams: Mapping[str, Upstream] = NONE,
    outward: Outward = DIRECT,
    **settings: object,
) -> Workbench:
    """A workbench, not started, whose service is this client at the provider."""
    authorities = directory / "psc.pem"
    authorities.write_bytes(psc.authority.pem)
    at = Psc(issuer=psc.issuer, client_id=client, authorities=authorities, **settings)  # type: ignore[arg-type]
    config = Config(psc=at, dmp=dmp, upstreams=upstreams)
    api = Workbench(directory, config, clock=RunningClock(), outward=outward)
    api.ecps.limits.interval = 0.01  # a simulated provider may be asked more often than a real one
    api.secrets.values["psc-client-secret"] = SECRET.encode()
    api.person.attentive.clear()  # the dialog stays open; the mobile answers
    return api


async def pair(api: Workbench, **said: object) -> str:
    """A paired program's secret; dialogs stay open from then on."""
    api.person.attentive.set()
    secret = await api.pair(**said)
    api.person.attentive.clear()
    return secret


async def pending(api: Workbench, login: dict[str, object] = LOGIN, secret: str | None = None) -> tuple[str, str]:
    """A pending session's path and token."""
    got = await api.call("POST", "/v1/sessions", login, bearer=secret or await pair(api))
    assert (got.status, got.text("state")) == (202, "pending"), got.raw
    return f"/v1/sessions/{got.text('id')}", got.text("token")


async def ends_in(api: Workbench, path: str, token: str) -> tuple[int, object]:
    """What asking for the session gives once it is no longer pending."""
    while True:
        got = await api.call("GET", path, bearer=token)
        if got.status != 200:
            return got.status, got.code
        if got.text("state") != "pending":
            return got.status, got.text("state")
        await asyncio.sleep(0.05)


def tokens_of(api: Workbench) -> TokenSet:
    """The provider's tokens of the only login."""
    return login_of(api).login.tokens


def login_of(api: Workbench) -> DirectLogin:
    """The only login, at the provider."""
    [login] = api.ecps.all()
    assert isinstance(login.psc, DirectLogin)
    return login.psc


def resumable(api: Workbench) -> list[ResumableSession]:
    """The sessions that the next daemon would resume."""
    return ResumableSessions(api.store, api.secrets).all()
