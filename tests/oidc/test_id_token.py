"""ID tokens of every wrong kind, from a provider that lies: each refused under its own code, and no login."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cardd.errors import (
    CarddError,
    PscGarbled,
    PscTokenAlgorithm,
    PscTokenAudience,
    PscTokenBinding,
    PscTokenExpired,
    PscTokenFromFuture,
    PscTokenIssuer,
    PscTokenKey,
    PscTokenLevel,
    PscTokenMalformed,
    PscTokenSignature,
    PscTokenStale,
    PscTokenType,
)
from cardd.oidc import ciba
from cardd.oidc.logout import EVENT
from cardd.oidc.provider import Login, Provider
from cardd.oidc.signed import AUTH_REQ_ID
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.people import ALICE

TIMES = ("exp", "iat", "nbf", "auth_time")
YEAR = 365 * 86400


def timed(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with their times, which are given in seconds from now."""
    now = int(time.time())
    return {name: now + value if name in TIMES and type(value) is int else value for name, value in claims.items()}


async def log_in(provider: Provider) -> Login:
    return await (await ciba.start(provider, ALICE)).finish()


@pytest.fixture(autouse=True)
def quick(fake: FakeProvider) -> None:
    fake.start["interval"] = 0.01


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_a_right_token_of_each_accepted_algorithm_passes(
    fake: FakeProvider, at_fake: Provider, algorithm: str
) -> None:
    fake.algorithm = algorithm
    assert (await log_in(at_fake)).id_token.subject == fake.person["sub"]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"iss": "http://127.0.0.1:1/realm"}, PscTokenIssuer),
        ({"iss": None}, PscTokenIssuer),
        ({"aud": "another-service"}, PscTokenAudience),
        ({"aud": []}, PscTokenAudience),
        ({"aud": None}, PscTokenAudience),
        ({"aud": {"not": "a list"}}, PscTokenAudience),
        ({"aud": [CLIENT, "another-service"]}, PscTokenAudience),
        ({"azp": "another-service"}, PscTokenAudience),
        ({"exp": -3600}, PscTokenExpired),
        ({"iat": 3600}, PscTokenFromFuture),
        ({"nbf": 3600}, PscTokenFromFuture),
        ({"exp": None}, PscTokenMalformed),
        ({"iat": None}, PscTokenMalformed),
        ({"exp": "tomorrow"}, PscTokenMalformed),
        ({"exp": True}, PscTokenMalformed),
        ({"nbf": float(10**200)}, PscTokenMalformed),
        ({"iat": -YEAR}, PscTokenStale),
        ({"iat": -3600}, PscTokenStale),
        ({"auth_time": -YEAR}, PscTokenStale),
        ({"auth_time": 3600}, PscTokenFromFuture),
        ({"auth_time": "yesterday"}, PscTokenMalformed),
        ({"events": {EVENT: {}}}, PscTokenType),
        ({"typ": "Bearer"}, PscTokenType),
        ({"typ": "Logout"}, PscTokenType),
        ({"sub": None}, PscTokenMalformed),
        ({"sub": "x" * 300}, PscTokenMalformed),
        ({"acr": "eidas0"}, PscTokenLevel),
        ({"acr": ["eidas1"]}, PscTokenLevel),
        ({"acr": "eidas"}, PscTokenLevel),
        ({"acr": "other2"}, PscTokenLevel),
        ({"acr": "2"}, PscTokenLevel),
        ({"acr": "eidas\u0661"}, PscTokenLevel),  # a digit, and not one of ours
        ({AUTH_REQ_ID: "another-request"}, PscTokenBinding),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, PscTokenBinding),
        ({"at_hash": 7}, PscTokenBinding),
    ],
    ids=str,
)
async def test_a_wrong_claim_is_told_by_its_own_code(
    fake: FakeProvider, at_fake: Provider, claims: dict[str, Any], expected: type[CarddError]
) -> None:
    fake.claims = timed(claims)
    with pytest.raises(CarddError) as refused:
        await log_in(at_fake)
    assert type(refused.value) is expected
    assert fake.userinfo_asked == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"acr": None},
        {"acr": "eidas2"},
        {"acr": "eidas10"},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "another-service"], "azp": CLIENT},
        {AUTH_REQ_ID: "fake-request"},
        {"exp": -30},
        {"iat": 30},
        {"iat": -200},
        {"auth_time": -4 * 3600},  # as long as PSC's own sessions last
        {"typ": "ID"},
    ],
    ids=str,
)
async def test_what_the_standard_allows_passes(fake: FakeProvider, at_fake: Provider, claims: dict[str, Any]) -> None:
    fake.claims = timed(claims)
    assert (await log_in(at_fake)).person.identity.national_id == ALICE


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt"])
async def test_a_token_of_another_kind_is_no_id_token(fake: FakeProvider, at_fake: Provider, kind: str) -> None:
    fake.header = {"typ": kind}
    with pytest.raises(PscTokenType):
        await log_in(at_fake)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", None])
async def test_an_id_token_says_that_it_is_a_jwt_or_nothing(
    fake: FakeProvider, at_fake: Provider, kind: str | None
) -> None:
    fake.header = {"typ": kind}
    assert (await log_in(at_fake)).person.identity.national_id == ALICE


async def test_a_token_without_a_signature_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.algorithm, fake.key = "none", ""
    with pytest.raises(PscTokenAlgorithm):
        await log_in(at_fake)


async def test_a_token_signed_with_the_client_secret_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.algorithm, fake.key = "HS256", "simulation-of-a-secret-that-is-long-enough"
    with pytest.raises(PscTokenAlgorithm):
        await log_in(at_fake)


async def test_a_token_signed_with_a_longer_hash_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.algorithm = "RS512"
    with pytest.raises(PscTokenAlgorithm):
        await log_in(at_fake)


async def test_a_token_of_another_key_under_a_known_name_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(PscTokenSignature):
        await log_in(at_fake)


async def test_forged_tokens_in_a_row_are_refused_each(fake: FakeProvider, at_fake: Provider) -> None:
    fake.key = rsa.generate_private_key(65537, 2048)
    for _ in range(2):
        with pytest.raises(PscTokenSignature):
            await log_in(at_fake)
    assert len(fake.fetches) == 2  # and not for each


async def test_a_token_of_a_key_that_is_not_published_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.header = {"kid": "unknown"}
    with pytest.raises(PscTokenKey):
        await log_in(at_fake)


async def test_a_token_may_not_name_its_key_by_itself(fake: FakeProvider, at_fake: Provider) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    fake.key, fake.header = stranger, {"kid": None, "jku": "http://127.0.0.1:1/certs"}
    with pytest.raises(PscTokenSignature):
        await log_in(at_fake)


async def test_an_extension_that_must_be_understood_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.header = {"crit": ["exp"], "exp": 1}
    with pytest.raises(PscTokenMalformed):
        await log_in(at_fake)


async def test_a_kind_that_is_no_text_and_claims_that_are_no_object_are_malformed(
    fake: FakeProvider, at_fake: Provider
) -> None:
    own, right = fake.keys[0], fake.id_token()
    key = jwt.PyJWK({**own, "alg": "RS256"}).key
    for payload, header in ((b"[]", {}), (right.encode(), {}), (b"{}", {"typ": 7})):
        fake.raw_id_token = jwt.api_jws.PyJWS().encode(payload, key, "RS256", headers={"kid": own["kid"], **header})
        with pytest.raises(PscTokenMalformed):
            await log_in(at_fake)


@pytest.mark.parametrize(
    "raw", ["x", "a.b", "a.b.c", "....", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "x" * 70_000, "é.é.é"]
)
async def test_what_is_no_token_is_refused(fake: FakeProvider, at_fake: Provider, raw: str) -> None:
    fake.raw_id_token = raw
    with pytest.raises((PscTokenMalformed, PscTokenAlgorithm, PscTokenSignature, PscTokenKey, PscGarbled)):
        await log_in(at_fake)


async def test_a_login_without_an_id_token_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.answers.append((200, {"access_token": "fake-access", "token_type": "Bearer"}))
    with pytest.raises(PscGarbled):
        await log_in(at_fake)


async def test_a_key_that_is_too_short_is_no_key(fake: FakeProvider, at_fake: Provider) -> None:
    fake.use_short_key()
    with pytest.raises(PscTokenKey):
        await log_in(at_fake)
