"""Login by the mobile, judged by oidc-provider."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from cardd.errors import (
    PscClientRefused,
    PscDenied,
    PscExpired,
    PscLoginHintUnknown,
    PscNoCiba,
    PscRedeemed,
    PscTokenLevel,
)
from cardd.oidc import ciba
from cardd.oidc.client_auth import SecretBasic
from cardd.oidc.provider import Provider
from cardd.oidc.tokens import Token
from tests.oidc.services import log_in, service
from tests.rig.oidc.people import ALICE, BOB
from tests.rig.oidc.provider import PscRig


async def test_an_approved_login_tells_who_it_is(psc: PscRig, provider: Provider) -> None:
    pending = await ciba.start(provider, ALICE, channel="MOBILE")
    waiting = asyncio.create_task(pending.finish())
    await psc.approve(ALICE)
    login = await waiting
    assert login.person.identity.national_id == ALICE
    assert login.person.identity.profession == "10"
    assert login.person.situations[0].structure_name == "CABINET SIMULATION"
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


async def test_the_person_is_shown_two_digits_and_the_time_left(psc: PscRig, provider: Provider) -> None:
    pending = await ciba.start(provider, ALICE)
    assert pending.binding_message.isdigit()
    assert len(pending.binding_message) == 2
    assert 110 < (pending.expires_at - datetime.now(UTC)).total_seconds() <= 120


async def test_two_digits_are_rarely_the_same_twice(psc: PscRig, provider: Provider) -> None:
    shown = {(await ciba.start(provider, ALICE)).binding_message for _ in range(20)}
    assert len(shown) > 5


def test_each_two_digits_are_as_likely_as_any_others() -> None:
    drawn = Counter(ciba.two_digits() for _ in range(100_000))
    assert sorted(drawn) == [f"{number:02d}" for number in range(100)]
    assert max(abs(times - 1000) for times in drawn.values()) < 300  # more than nine standard deviations


def test_two_digits_cannot_be_foreseen_by_who_knows_the_seed() -> None:
    drawn = []
    for _ in range(2):
        random.seed(0)
        drawn.append([ciba.two_digits() for _ in range(20)])
    assert drawn[0] != drawn[1]


async def test_a_login_that_the_person_denies_is_told_as_such(psc: PscRig, provider: Provider) -> None:
    pending = await ciba.start(provider, ALICE)
    await psc.deny(ALICE)
    with pytest.raises(PscDenied):
        await pending.finish()


async def test_a_mobile_that_does_not_answer_ends_the_login_at_its_time(own_psc: PscRig) -> None:
    own_psc.expires_in = 2
    await own_psc.start()
    async with service(own_psc) as quick:
        pending = await ciba.start(quick, ALICE)
        with pytest.raises(PscExpired):
            async with asyncio.timeout(10):
                await pending.finish()


async def test_an_unknown_login_hint_is_told_at_once(provider: Provider) -> None:
    with pytest.raises(PscLoginHintUnknown):
        await ciba.start(provider, "899799999999")


@pytest.mark.parametrize("hint", ["", "8" * 200, "8997\n0000", "8997\x0000"])
async def test_what_cannot_be_a_login_hint_is_not_sent(psc: PscRig, provider: Provider, hint: str) -> None:
    with pytest.raises(PscLoginHintUnknown):
        await ciba.start(provider, hint)
    assert await psc.requests() == []


async def test_a_service_without_login_by_mobile_is_told_so(psc: PscRig) -> None:
    async with service(psc, "no-ciba") as without:
        with pytest.raises(PscNoCiba):
            await ciba.start(without, ALICE)


async def test_a_wrong_secret_is_told_as_such(psc: PscRig) -> None:
    async with service(psc, "basic", SecretBasic("basic", Token("wrong"))) as stranger:
        with pytest.raises(PscClientRefused):
            await ciba.start(stranger, ALICE)


async def test_a_login_is_finished_once(psc: PscRig, provider: Provider) -> None:
    pending = await ciba.start(provider, ALICE)
    await psc.approve(ALICE)
    await pending.finish()
    with pytest.raises(PscRedeemed):
        await pending.finish()


async def test_a_weaker_login_than_asked_for_is_refused(psc: PscRig, provider: Provider) -> None:
    pending = await ciba.start(provider, ALICE)
    await psc.approve(ALICE, acr="eidas0")
    with pytest.raises(PscTokenLevel):
        await pending.finish()


async def test_a_person_with_several_practices_chooses_one(psc: PscRig, provider: Provider) -> None:
    person = (await log_in(psc, provider, BOB)).person
    assert [(one.id, one.profession, one.mode) for one in person.situations] == [
        ("1.1", "10", "L"),
        ("1.2", "10", "S"),
        ("2.1", "21", "L"),
    ]
    assert person.identity.profession is None


async def test_logins_of_two_people_at_once_do_not_mix(psc: PscRig, provider: Provider) -> None:
    people = (ALICE, BOB)
    pending = [await ciba.start(provider, who) for who in people]
    waiting = [asyncio.create_task(login.finish()) for login in pending]
    for who in reversed(people):
        await psc.approve(who)
    assert [(await login).person.identity.national_id for login in waiting] == list(people)
