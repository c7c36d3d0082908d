"""Login by the mobile, judged by oidc-provider."""

from __future__ import annotations

import asyncio

from cardd.oidc import ciba
from cardd.oidc.provider import Provider
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import PscRig


async def test_an_approved_login_tells_who_it_is(psc: PscRig, provider: Provider) -> None:
    pending = await ciba.start(provider, ALICE, channel=ciba.Channel.MOBILE)
    waiting = asyncio.create_task(pending.finish())
    await psc.approve(ALICE)
    login = await waiting
    assert login.person.identity.national_id == ALICE
    assert login.person.identity.profession == "10"
    assert login.person.practices[0].activities[0].name == "CABINET SIMULATION"
    assert login.tokens.refresh is not None
    assert await psc.requests() == [
        {
            "login_hint": ALICE,
            "binding_message": pending.binding_message,
            "channel": "MOBILE",
            "acr_values": "eidas1",
            "scope": "openid scope_all",
        }
    ]
