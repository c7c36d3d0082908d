"""Signature keys that change."""

from __future__ import annotations

import pytest

from cardd.errors import (
    CarddError,
    PscGarbled,
    PscTokenAlgorithm,
    PscTokenExpired,
    PscTokenFromFuture,
    PscTokenKey,
    PscUnavailable,
)
from cardd.model import JsonValue
from cardd.oidc import ciba
from cardd.oidc.provider import Provider
from tests.oidc.services import fake_service, log_in, service
from tests.oidc.test_discovery import Clock
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import PscRig, signing_keys


async def test_new_keys_are_found_when_the_provider_changes_them(psc: PscRig, provider: Provider) -> None:
    await log_in(psc, provider)
    await psc.rotate()
    assert (await log_in(psc, provider)).person.identity.national_id == ALICE


@pytest.mark.parametrize("kid", [None, "same"], ids=["without an id", "under the old id"])
async def test_a_new_key_is_found_where_its_id_does_not_tell(fake: FakeProvider, kid: str | None) -> None:
    fake.start["interval"] = 0.01
    fake.header = {"kid": kid}
    async with fake_service(fake) as provider:
        for name in ("first", "second"):
            fake.keys = signing_keys(name)
            fake.published = [{**fake.keys[0], "kid": "same"}]
            await (await ciba.start(provider, ALICE)).finish()
        assert len(fake.fetches) == 2


FOREIGN: list[JsonValue] = [
    {"kty": "RSA", "use": "sig", "kid": 7, "n": 7, "e": []},
    {"kty": "RSA", "kid": "fake-rsa", "n": "AQAB", "e": ""},
    {"kty": "RSA", "kid": "fake-rsa", "use": "enc"},
    {"kty": "EC", "kid": "x", "crv": "P-999", "x": None, "y": {}},
    {"kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-65", "pub": "x" * 5000},
    {"kty": {}, "use": [], "alg": {}, "kid": "y" * 5000},
    "not a key",
    None,
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=[str(number) for number in range(len(FOREIGN))])
async def test_a_foreign_key_among_the_provider_s_refuses_no_token(fake: FakeProvider, foreign: JsonValue) -> None:
    fake.start["interval"] = 0.01
    fake.foreign = [foreign]
    async with fake_service(fake) as provider:
        assert (await (await ciba.start(provider, ALICE)).finish()).person.identity.national_id == ALICE


@pytest.mark.parametrize("kid", [None, "same"], ids=["without an id", "under one id"])
async def test_a_key_that_is_published_twice_or_beside_another_serves(fake: FakeProvider, kid: str | None) -> None:
    fake.start["interval"] = 0.01
    fake.header = {"kid": kid}
    other = signing_keys("other")[0]
    fake.published = [{**key, "kid": "same"} for key in (other, fake.keys[0], fake.keys[0])]
    async with fake_service(fake) as provider:
        assert (await (await ciba.start(provider, ALICE)).finish()).person.identity.national_id == ALICE


async def test_more_keys_than_a_provider_has_refuse_no_token_of_the_first(fake: FakeProvider) -> None:
    fake.start["interval"] = 0.01
    fake.foreign = [{"kty": "oct", "kid": str(number)} for number in range(200)]
    async with fake_service(fake) as provider:
        assert (await (await ciba.start(provider, ALICE)).finish()).person.identity.national_id == ALICE


async def test_the_keys_serve_on_while_the_provider_gives_none(fake: FakeProvider) -> None:
    clock = Clock()
    fake.start["interval"] = 0.01
    async with fake_service(fake, clock=clock) as provider:
        await (await ciba.start(provider, ALICE)).finish()
        fake.is_without_keys = True
        clock.seconds += 3601
        await (await ciba.start(provider, ALICE)).finish()
        asked = len(fake.fetches)
        await (await ciba.start(provider, ALICE)).finish()
        assert len(fake.fetches) == asked  # not again for each token
        clock.seconds += 31
        await (await ciba.start(provider, ALICE)).finish()
        assert len(fake.fetches) > asked


async def test_a_provider_that_never_gave_keys_is_unavailable(fake: FakeProvider) -> None:
    fake.start["interval"] = 0.01
    fake.is_without_keys = True
    async with fake_service(fake) as provider:
        with pytest.raises(PscUnavailable):
            await (await ciba.start(provider, ALICE)).finish()


@pytest.mark.parametrize(("place", "expected"), [("userinfo", PscGarbled), ("nowhere", PscUnavailable)])
async def test_what_is_no_list_of_keys_is_told(fake: FakeProvider, place: str, expected: type[CarddError]) -> None:
    fake.start["interval"] = 0.01
    fake.discovery["jwks_uri"] = f"{fake.issuer}/{place}"
    async with fake_service(fake) as provider:
        with pytest.raises(expected):
            await (await ciba.start(provider, ALICE)).finish()


async def test_forged_tokens_do_not_make_us_fetch_the_keys_again_and_again(fake: FakeProvider) -> None:
    clock = Clock()
    fake.start["interval"] = 0.01
    fake.header = {"kid": "forged"}
    async with fake_service(fake, clock=clock) as provider:
        for _ in range(5):
            with pytest.raises(PscTokenKey):
                await (await ciba.start(provider, ALICE)).finish()
        assert len(fake.fetches) == 2
        clock.seconds += 31
        with pytest.raises(PscTokenKey):
            await (await ciba.start(provider, ALICE)).finish()
        assert len(fake.fetches) == 3


async def test_a_key_that_was_withdrawn_is_not_believed_for_long(fake: FakeProvider) -> None:
    clock = Clock()
    fake.start["interval"] = 0.01
    async with fake_service(fake, clock=clock) as provider:
        await (await ciba.start(provider, ALICE)).finish()
        fake.published = signing_keys("other")
        clock.seconds += 3601
        with pytest.raises(PscTokenKey):
            await (await ciba.start(provider, ALICE)).finish()


@pytest.mark.parametrize("seconds", [-45, 45])
async def test_clocks_that_differ_by_less_than_a_minute_do_no_harm(
    psc: PscRig, provider: Provider, seconds: int
) -> None:
    await psc.shift_clock(seconds)
    assert (await log_in(psc, provider)).person.identity.national_id == ALICE


@pytest.mark.parametrize(("seconds", "expected"), [(-3600, PscTokenExpired), (3600, PscTokenFromFuture)])
async def test_clocks_that_differ_by_an_hour_are_told_as_such(
    psc: PscRig, provider: Provider, seconds: int, expected: type[Exception]
) -> None:
    await psc.shift_clock(seconds)
    with pytest.raises(expected):
        await log_in(psc, provider)


async def test_a_service_that_is_registered_for_hs256_gets_no_session(psc: PscRig) -> None:
    async with service(psc, "hs256") as symmetric:
        with pytest.raises(PscTokenAlgorithm):
            await log_in(psc, symmetric)


async def test_a_service_that_is_registered_for_es256_logs_in(psc: PscRig) -> None:
    async with service(psc, "es256") as elliptic:
        assert (await log_in(psc, elliptic)).person.identity.national_id == ALICE
