"""A provider or a network that fails while a login waits: the login goes on, as often as the provider allows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from cardd.errors import (
    CarddError,
    PscCertificate,
    PscClientRefused,
    PscFailing,
    PscGarbled,
    PscRedeemed,
    PscUnavailable,
)
from cardd.model import JsonValue
from cardd.oidc import ciba
from cardd.oidc.provider import Provider
from cardd.values import replace
from tests.oidc.services import fake_service, service
from tests.oidc.test_discovery import Clock
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.faults import Fault, FaultyProxy
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import PscRig
from tests.rig.waiting import eventually

PENDING: tuple[int, JsonValue] = (400, {"error": "authorization_pending"})
SLOW_DOWN: tuple[int, JsonValue] = (400, {"error": "slow_down"})


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.UNAVAILABLE, Fault.HALF, Fault.SLOW, Fault.NOT_JSON])
async def test_a_login_survives_a_fault_while_it_waits(
    psc_behind_proxy: PscRig, proxy: FaultyProxy, fault: Fault
) -> None:
    async with service(psc_behind_proxy) as provider:
        pending = await ciba.start(provider, ALICE)
        proxy.inject("token", fault)
        waiting = asyncio.create_task(pending.finish())
        await proxy.has_answered("token")
        await psc_behind_proxy.approve(ALICE)
        assert (await waiting).person.identity.national_id == ALICE


@pytest.mark.parametrize("name", ["userinfo", "certs", "wallet-openid-configuration"])
async def test_what_may_be_asked_twice_is_asked_again(psc_behind_proxy: PscRig, proxy: FaultyProxy, name: str) -> None:
    proxy.inject(name, Fault.RESET, Fault.UNAVAILABLE)
    async with service(psc_behind_proxy) as provider:
        pending = await ciba.start(provider, ALICE)
        await psc_behind_proxy.approve(ALICE)
        assert (await pending.finish()).person.identity.national_id == ALICE
    assert len(proxy.seen[name]) == 3


async def test_a_push_is_never_sent_twice(psc_behind_proxy: PscRig, proxy: FaultyProxy) -> None:
    proxy.inject("auth", Fault.HALF)
    async with service(psc_behind_proxy) as provider:
        with pytest.raises(PscUnavailable):
            await ciba.start(provider, ALICE)
    assert len(await psc_behind_proxy.requests()) == 1


async def test_tokens_that_were_lost_on_the_way_end_the_login(psc_behind_proxy: PscRig, proxy: FaultyProxy) -> None:
    async with service(psc_behind_proxy) as provider:
        pending = await ciba.start(provider, ALICE)
        await psc_behind_proxy.approve(ALICE)
        proxy.inject("token", Fault.HALF)
        with pytest.raises(PscRedeemed):
            await pending.finish()


async def test_a_provider_that_stays_away_is_told_at_the_end(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start.update(expires_in=1, interval=0.3)
    fake.answers.extend([(503, None)] * 10)
    pending = await ciba.start(at_fake, ALICE)
    with pytest.raises(PscUnavailable):
        await pending.finish()


async def test_faults_in_a_row_are_met_with_more_and_more_patience(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start["interval"] = 0.1
    fake.answers.extend([(503, None)] * 4)
    await (await ciba.start(at_fake, ALICE)).finish()
    waited = gaps(fake.polls)
    assert [round(gap, 1) >= least for gap, least in zip(waited, (0.1, 0.2, 0.4, 0.8), strict=True)] == [True] * 4


async def test_patience_with_faults_does_not_outlast_the_request(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start.update(expires_in=2.2, interval=0.2)
    fake.answers.extend([(503, None)] * 4)  # the next poll would come after the end: 0.2 + 0.2 + 0.4 + 0.8 + 1.6
    began = asyncio.get_running_loop().time()
    await (await ciba.start(at_fake, ALICE)).finish()
    assert min(gaps([began, *fake.polls])) >= 0.2
    assert fake.polls[-1] < began + 2.2


async def test_no_poll_comes_before_the_interval_is_over(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start["interval"] = 0.2
    fake.answers.extend([PENDING] * 8)
    began = asyncio.get_running_loop().time()
    await (await ciba.start(at_fake, ALICE)).finish()
    assert min(gaps([began, *fake.polls])) >= 0.2


async def test_a_provider_that_wants_to_be_asked_all_the_time_is_not(fake: FakeProvider, at_fake: Provider) -> None:
    at_fake.settings = replace(at_fake.settings, interval_min=0.3)
    fake.start["interval"] = 0.001
    fake.answers.extend([PENDING] * 3)
    began = asyncio.get_running_loop().time()
    await (await ciba.start(at_fake, ALICE)).finish()
    assert min(gaps([began, *fake.polls])) >= 0.3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_provider_that_says_when_to_ask_again_is_not_asked_before(
    fake: FakeProvider, at_fake: Provider, status: int
) -> None:
    fake.start["interval"] = 0.01
    fake.answers.extend([(status, None)])
    fake.retry_after = "1"
    await (await ciba.start(at_fake, ALICE)).finish()
    [gap] = gaps(fake.polls)
    assert gap >= 1


@pytest.mark.parametrize("ahead", ["30", "a date"])
async def test_a_provider_that_is_away_for_long_says_so_and_is_left_alone(fake: FakeProvider, ahead: str) -> None:
    clock = Clock()
    fake.is_away = True
    until = datetime.now(UTC) + timedelta(seconds=30)
    fake.retry_after = format_datetime(until, usegmt=True) if ahead == "a date" else ahead
    async with fake_service(fake, clock=clock) as provider:
        for _ in range(3):
            with pytest.raises(PscUnavailable) as away:
                await ciba.start(provider, ALICE)
            assert away.value.retry_after in (29, 30, 31)
        assert fake.asked == 1
        fake.is_away = False
        clock.seconds += 32
        await ciba.start(provider, ALICE)


@pytest.mark.parametrize("told", ["", "soon", "-1", "9" * 400, "Thu, 99 Foo 9999 00:00:00 GMT", "١"])
async def test_whatever_it_says_of_when_to_ask_again_does_no_harm(
    fake: FakeProvider, at_fake: Provider, told: str
) -> None:
    fake.is_away, fake.retry_after = True, told
    with pytest.raises(PscUnavailable):
        await ciba.start(at_fake, ALICE)


async def test_logins_at_a_provider_that_is_away_wait_together_and_the_next_are_told_at_once(
    fake: FakeProvider,
) -> None:
    clock = Clock()
    fake.is_away, fake.away_after, fake.retry_after = True, 0.3, "2"
    async with fake_service(fake, clock=clock) as provider:
        ends = await asyncio.gather(*(ciba.start(provider, ALICE) for _ in range(8)), return_exceptions=True)
        assert [type(end) for end in ends] == [PscFailing] * 8
        assert fake.asked == 1
        with pytest.raises(PscUnavailable):
            await ciba.start(provider, ALICE)
        assert fake.asked == 1
        fake.is_away = False
        clock.seconds += 6
        await ciba.start(provider, ALICE)


async def test_a_login_that_is_given_up_takes_nothing_from_those_that_wait_with_it(fake: FakeProvider) -> None:
    async with fake_service(fake) as provider:
        first, second = (asyncio.ensure_future(provider.discovery.metadata()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).issuer == fake.issuer
        alone = asyncio.ensure_future(provider.keys.find(None, "RS256"))
        await asyncio.sleep(0)
        alone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await alone
        assert await provider.keys.find(None, "RS256")


async def test_slow_down_adds_five_seconds_to_the_interval(psc_behind_proxy: PscRig, proxy: FaultyProxy) -> None:
    proxy.inject("token", Fault.SLOW_DOWN)
    async with service(psc_behind_proxy) as provider:
        pending = await ciba.start(provider, ALICE)
        await psc_behind_proxy.approve(ALICE)
        assert (await pending.finish()).person.identity.national_id == ALICE
    [gap] = gaps(proxy.seen["token"])
    assert gap >= pending.interval + 5


def test_slow_down_holds_for_all_later_polls_and_adds_up() -> None:
    pause, waited = ciba.PollPause(2.0), []
    for heard in (pause.slow_down, pause.answered, pause.failed, pause.slow_down, pause.answered):
        heard()
        waited.append(pause.wait(left=600.0))
    assert all(wait >= least for wait, least in zip(waited, (7, 7, 7, 12, 12), strict=True))


async def test_a_cancelled_login_polls_no_more(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start["interval"] = 0.1
    fake.answers.extend([PENDING] * 100)
    waiting = asyncio.create_task((await ciba.start(at_fake, ALICE)).finish())
    await eventually(lambda: bool(fake.polls))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    polled = len(fake.polls)
    await asyncio.sleep(0.5)
    assert len(fake.polls) == polled


async def test_given_up_while_the_tokens_are_on_their_way_it_is_ended_at_the_provider(
    psc_behind_proxy: PscRig, proxy: FaultyProxy
) -> None:
    async with service(psc_behind_proxy) as provider:
        pending = await ciba.start(provider, ALICE)
        await psc_behind_proxy.approve(ALICE)
        proxy.inject("token", Fault.SLOW)
        waiting = asyncio.create_task(pending.finish())
        await eventually(lambda: bool(proxy.seen["token"]))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(proxy.seen["token"]) == len(proxy.seen["logout"]) == 1


async def test_an_interval_that_is_not_told_is_five_seconds(fake: FakeProvider, at_fake: Provider) -> None:
    del fake.start["interval"]
    assert (await ciba.start(at_fake, ALICE)).interval == 5


@pytest.mark.parametrize(
    "start",
    [
        {"auth_req_id": None},
        {"auth_req_id": 7},
        {"expires_in": None},
        {"expires_in": -1},
        {"expires_in": "soon"},
        {"expires_in": 10**400},
        {"interval": [5]},
    ],
    ids=str,
)
async def test_a_start_that_makes_no_sense_is_garbled(
    fake: FakeProvider, at_fake: Provider, start: dict[str, object]
) -> None:
    fake.start.update(start)
    with pytest.raises(PscGarbled):
        await ciba.start(at_fake, ALICE)


@pytest.mark.parametrize(("status", "expected"), [(401, PscClientRefused), (400, PscGarbled)])
async def test_a_refusal_without_a_word_is_the_service_s_where_it_says_401(
    fake: FakeProvider, at_fake: Provider, status: int, expected: type[CarddError]
) -> None:
    fake.statuses["ciba"] = status
    with pytest.raises(expected):
        await ciba.start(at_fake, ALICE)


async def test_a_token_answer_that_makes_no_sense_ends_the_login(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start["interval"] = 0.1
    fake.answers.append((200, {"access_token": 7, "token_type": "Bearer"}))
    with pytest.raises(PscGarbled):
        await (await ciba.start(at_fake, ALICE)).finish()
    assert len(fake.polls) == 1


async def test_a_provider_with_a_certificate_of_nobody_we_trust_is_told_nothing(own_psc: PscRig) -> None:
    await own_psc.start()
    own_psc.authority = Authority()
    async with service(own_psc) as provider:
        with pytest.raises(PscCertificate):
            await ciba.start(provider, ALICE)
    assert await own_psc.requests() == []


async def test_a_provider_that_is_down_is_unavailable(own_psc: PscRig) -> None:
    await own_psc.start()
    await own_psc.stop()
    async with service(own_psc) as provider:
        with pytest.raises(PscUnavailable) as failed:
            await ciba.start(provider, ALICE)
    assert failed.value.params == {"host": "localhost", "reason": "refused"}


async def test_a_provider_that_was_closed_opens_no_new_connection(fake: FakeProvider, at_fake: Provider) -> None:
    await at_fake.discovery.metadata()
    await at_fake.close()
    with pytest.raises(PscUnavailable):
        await ciba.start(at_fake, ALICE)
    assert fake.forms == []


async def test_an_answer_larger_than_any_should_be_is_not_read_to_its_end(
    fake: FakeProvider, at_fake: Provider
) -> None:
    fake.discovery["padding"] = "x" * 1_000_000
    with pytest.raises(PscUnavailable):
        await ciba.start(at_fake, ALICE)
