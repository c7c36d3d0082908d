"""Logout tokens of every wrong kind, from a provider that lies; the right one is judged in test_after_login."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cardd.errors import (
    CarddError,
    PscTokenAudience,
    PscTokenExpired,
    PscTokenIssuer,
    PscTokenMalformed,
    PscTokenReplayed,
    PscTokenSignature,
    PscTokenStale,
    PscTokenType,
)
from cardd.oidc.logout import EVENT, LogoutNotice, LogoutNotices
from cardd.oidc.provider import Provider
from cardd.oidc.signed import IdToken
from tests.rig.oidc.fake import CLIENT, FakeProvider

OURS = IdToken(subject="f:simulation:1", sid="ours")


def logout_token(fake: FakeProvider, **claims: Any) -> str:
    fake.header = {"typ": "logout+jwt", **fake.header}
    right = {
        "iss": fake.issuer,
        "aud": CLIENT,
        "iat": int(time.time()),
        "jti": "one",
        "events": {EVENT: {}},
        "sub": OURS.subject,
        "sid": OURS.sid,
    }
    return fake.sign({**right, **claims})


async def test_a_right_token_ends_the_login_that_it_names(fake: FakeProvider, at_fake: Provider) -> None:
    notice = await LogoutNotices(at_fake).back_channel(logout_token(fake))
    assert notice == LogoutNotice(OURS.subject, OURS.sid)
    assert notice.concerns(OURS)
    assert not notice.concerns(IdToken(OURS.subject, "another"))


async def test_a_token_without_a_session_ends_all_of_the_person_s(fake: FakeProvider, at_fake: Provider) -> None:
    notice = await LogoutNotices(at_fake).back_channel(logout_token(fake, sid=None))
    assert notice.concerns(OURS)
    assert not notice.concerns(IdToken("f:simulation:2", "ours"))


async def test_a_token_that_comes_twice_is_good_once(fake: FakeProvider, at_fake: Provider) -> None:
    notices, raw = LogoutNotices(at_fake), logout_token(fake)
    await notices.back_channel(raw)
    with pytest.raises(PscTokenReplayed):
        await notices.back_channel(raw)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"iss": "https://psc.example"}, PscTokenIssuer),
        ({"aud": "another-service"}, PscTokenAudience),
        ({"iat": 1}, PscTokenExpired),
        ({"iat": 1, "exp": 4102444800}, PscTokenStale),  # the year 2100: each test process must name this test alike
        ({"iat": None}, PscTokenMalformed),
        ({"iat": "now"}, PscTokenMalformed),
        ({"jti": None}, PscTokenMalformed),
        ({"nonce": "one of an ID token"}, PscTokenMalformed),
        ({"events": None}, PscTokenMalformed),
        ({"events": {"https://example/other": {}}}, PscTokenMalformed),
        ({"events": {EVENT: "yes"}}, PscTokenMalformed),
        ({"sub": None, "sid": None}, PscTokenMalformed),
        ({"sub": 7, "sid": ["ours"]}, PscTokenMalformed),
    ],
    ids=str,
)
async def test_a_wrong_token_ends_nothing(
    fake: FakeProvider, at_fake: Provider, claims: dict[str, Any], expected: type[CarddError]
) -> None:
    with pytest.raises(CarddError) as refused:
        await LogoutNotices(at_fake).back_channel(logout_token(fake, **claims))
    assert type(refused.value) is expected


async def test_a_token_of_another_type_ends_nothing(fake: FakeProvider, at_fake: Provider) -> None:
    fake.header = {"typ": "at+jwt"}
    with pytest.raises(PscTokenType):
        await LogoutNotices(at_fake).back_channel(logout_token(fake))


async def test_a_token_that_was_changed_ends_nothing(fake: FakeProvider, at_fake: Provider) -> None:
    raw = logout_token(fake)
    head, payload, _ = raw.split(".")
    signature = logout_token(fake, jti="another").rpartition(".")[2]
    with pytest.raises(PscTokenSignature):
        await LogoutNotices(at_fake).back_channel(f"{head}.{payload}.{signature}")


async def test_the_front_channel_ends_the_session_that_it_names(fake: FakeProvider, at_fake: Provider) -> None:
    notices = LogoutNotices(at_fake)

    def ends(query: dict[str, str], login: IdToken = OURS) -> bool:
        notice = notices.front_channel(query)
        return notice is not None and notice.concerns(login)

    assert ends({"iss": fake.issuer, "sid": "ours"})
    assert not ends({"iss": fake.issuer, "sid": "another"})
    assert not ends({"iss": fake.issuer, "sid": "é\udc00"})
    assert not ends({"iss": fake.issuer, "sid": ""})
    assert not ends({"iss": fake.issuer})
    assert not ends({"sid": "ours"})
    assert not ends({"iss": "https://psc.example", "sid": "ours"})
    assert not ends({"iss": fake.issuer, "sid": "ours"}, IdToken(OURS.subject, None))
