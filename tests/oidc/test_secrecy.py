"""No token and no secret is seen: in no log, no exception, no representation."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback

import pytest

from cardd.client.answers import PscToken
from cardd.errors import CarddError
from cardd.http import HttpAnswer
from cardd.identity.ecps.provider import HandedToken
from cardd.oidc import ciba
from cardd.oidc.client_auth import SecretBasic, SecretPost
from cardd.oidc.provider import Login, Provider
from cardd.oidc.tokens import Token
from tests.oidc.services import browser_login
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import SECRET, PscRig
from tests.rig.oidc.renewing import at_rest, refreshed


def secrets_of(login: Login) -> list[str]:
    tokens = login.tokens
    return [token.reveal() for token in (tokens.access, tokens.refresh, tokens.id_token) if token is not None]


async def test_a_whole_login_leaves_nothing_in_the_log(
    psc: PscRig, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    pending = await ciba.start(provider, ALICE)
    await psc.approve(ALICE)
    login = await pending.finish()
    fresh = await refreshed(provider, login)
    shown = caplog.text + repr((login, fresh, pending, provider.settings))
    assert not [secret for secret in (*secrets_of(login), fresh.access.reveal(), SECRET) if secret in shown]


async def test_an_error_quotes_no_token(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start["interval"] = 0.01
    for wrong in (
        {"claims": {"aud": "x"}},
        {"raw_id_token": f"{fake.id_token()}x"},
        {"userinfo_type": "application/jwt"},
    ):
        for name, value in wrong.items():
            setattr(fake, name, value)
        with pytest.raises(CarddError) as refused:
            await (await ciba.start(at_fake, ALICE)).finish()
        told = "".join(traceback.format_exception(refused.value)) + repr(refused.value.params)
        assert "fake-access" not in told
        assert fake.id_token().partition(".")[0] not in told


async def test_a_browser_login_shows_its_secrets_to_nobody_but_the_browser(at_fake: Provider) -> None:
    async with browser_login(at_fake) as begun:
        state = begun.url.partition("state=")[2].partition("&")[0]
        assert state not in repr(begun)
        assert state not in repr(vars(begun).get("_once"))


def test_what_holds_a_secret_does_not_show_it() -> None:
    token = Token("SIMULATION-of-a-secret")
    held = (
        token,
        SecretBasic("id", token),
        SecretPost("id", token),
        HttpAnswer(200, "application/json", b"SIMULATION-of-a-secret"),
        HandedToken("SIMULATION-of-a-secret", "Bearer", None),
        PscToken("SIMULATION-of-a-secret", "Bearer"),
    )
    assert "SIMULATION" not in f"{held!r} {token!s} {[token]} {token!r:>40}"


def test_a_token_cannot_be_written_down() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Token("x"))


def test_a_token_goes_to_the_keyring_and_back() -> None:
    assert at_rest(Token("é" * 100)) == Token("é" * 100)
    assert Token("a") != Token("b")
    assert Token("a") != "a"
    assert len({Token("a"), Token("a"), Token("b")}) == 2
