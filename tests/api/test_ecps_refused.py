"""Whatever a provider gets wrong: each has its own code with a remedy in both languages, and there is no session."""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from yarl import URL

from cardd.identity.ecps.direct import DirectProvider
from tests.api.ecps import LOGIN, Place, ends_in, pair, workbench_at
from tests.api.workbench import Got, Workbench
from tests.rig.oidc.fake import CLIENT, FakeProvider, Json
from tests.rig.oidc.people import BOB, person
from tests.rig.oidc.pki import Authority


async def refusal(api: Workbench, login: dict[str, object] = LOGIN) -> tuple[int, object]:
    """What a login ends in, at once or while it is pending; nobody is logged in afterwards."""
    secret = await pair(api)

    async def begin(language: str) -> Got:
        return await api.call("POST", "/v1/sessions", login, bearer=secret, headers={"Accept-Language": language})

    got = await begin("fr")
    if got.status == 202:
        return await refused_later(api, got)
    return await is_refused(api, got, await begin("en"))


async def refused_later(api: Workbench, opened: Got) -> tuple[int, object]:
    """What a pending login ends in."""
    path, token = f"/v1/sessions/{opened.text('id')}", opened.text("token")
    await ends_in(api, path, token)
    french, english = [
        await api.call("GET", path, bearer=token, headers={"Accept-Language": language}) for language in ("fr", "en")
    ]
    return await is_refused(api, french, english)


async def is_refused(api: Workbench, french: Got, english: Got) -> tuple[int, object]:
    """One refusal in both languages, each with what to do; there is no session of it."""
    assert (french.status, french.code) == (english.status, english.code)
    for part in ("title", "detail", "remedy"):
        assert french.text(part) != english.text(part)
    assert api.ecps.all() == []
    assert (await api.call("GET", "/v1/sessions", via="unix")).json["sessions"] == []
    assert api.audit.entries[-1].code == french.code
    return french.status, french.code


HOUR = 3600


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://psc.example/realm"}, "psc.token_issuer"),
        ({"aud": "another-service"}, "psc.token_audience"),
        ({"auth_req_id": "another"}, "psc.token_binding"),
        ({"exp": -HOUR}, "psc.token_expired"),
        ({"iat": HOUR}, "psc.token_from_future"),
        ({"sub": None}, "psc.token_malformed"),
        ({"acr": "eidas0"}, "psc.token_level"),
    ],
)
async def test_a_wrong_claim_of_the_id_token(desk: Workbench, liar: FakeProvider, claims: Json, code: str) -> None:
    claims = {"urn:openid:params:jwt:claim:auth_req_id" if name == "auth_req_id" else name: value
              for name, value in claims.items()}  # fmt: skip
    now = int(time.time())
    liar.claims = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    assert await refusal(desk) == (502, code)


@pytest.mark.parametrize(
    ("algorithm", "key"), [("none", ""), ("HS256", "simulation-of-a-secret-that-is-long-enough"), ("RS512", None)]
)
async def test_an_algorithm_that_proves_nothing(
    desk: Workbench, liar: FakeProvider, algorithm: str, key: str | None
) -> None:
    liar.algorithm, liar.key = algorithm, key
    assert await refusal(desk) == (502, "psc.token_algorithm")


async def test_a_key_that_the_provider_does_not_publish(desk: Workbench, liar: FakeProvider) -> None:
    liar.header = {"kid": "unknown"}
    assert await refusal(desk) == (502, "psc.token_key")


async def test_a_signature_that_is_not_the_provider_s(desk: Workbench, liar: FakeProvider) -> None:
    liar.key = rsa.generate_private_key(65537, 2048)
    assert await refusal(desk) == (502, "psc.token_signature")


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"issuer": "https://psc.example/realm"}, 502, "psc.discovery_issuer"),
        ({"token_endpoint": "https://psc.example/token"}, 502, "psc.discovery_host"),
        ({"token_endpoint": "http://127.0.0.1/token"}, 502, "psc.discovery_insecure"),
        ({"backchannel_authentication_endpoint": None}, 422, "psc.no_ciba"),
        ({"jwks_uri": 7}, 502, "psc.garbled"),
    ],
)
async def test_a_discovery_that_is_not_to_be_believed(
    desk: Workbench, liar: FakeProvider, told: Json, status: int, code: str
) -> None:
    liar.discovery = told
    assert await refusal(desk) == (status, code)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("unknown_user_id", 422, "psc.login_hint"),
        ("unauthorized_client", 422, "psc.no_ciba"),
        ("invalid_client", 502, "psc.client_refused"),
        ("invalid_scope", 502, "psc.request_refused"),
    ],
)
async def test_a_login_that_the_provider_refuses_to_start(
    desk: Workbench, liar: FakeProvider, error: str, status: int, code: str
) -> None:
    liar.start_refusal = (400, {"error": error})
    assert await refusal(desk) == (status, code)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("access_denied", 403, "psc.denied"),
        ("expired_token", 403, "psc.expired"),
        ("invalid_grant", 409, "psc.redeemed"),
    ],
)
async def test_a_login_that_ends_otherwise(
    desk: Workbench, liar: FakeProvider, error: str, status: int, code: str
) -> None:
    liar.answers.append((400, {"error": error}))
    assert await refusal(desk) == (status, code)


BROWSER: dict[str, object] = {"method": "ecps", "flow": "browser"}


async def answered(api: Workbench, **answer: str) -> tuple[int, object]:
    """What a login by the browser ends in when the browser comes back with this answer."""
    got = await api.call("POST", "/v1/sessions", BROWSER, bearer=await pair(api))
    asked = URL(got.text("authorization_url")).query
    back = URL(asked["redirect_uri"]).update_query(state=asked["state"], **answer)
    async with aiohttp.ClientSession() as browser:
        await (await browser.get(back)).release()
    return await refused_later(api, got)


@pytest.mark.parametrize("nonce", [None, "another's"])
async def test_an_id_token_of_another_browser_login(desk: Workbench, liar: FakeProvider, nonce: str | None) -> None:
    liar.claims = {"nonce": nonce}
    assert await answered(desk, code="x") == (502, "psc.token_binding")


async def test_a_code_that_was_redeemed_before(desk: Workbench, liar: FakeProvider) -> None:
    liar.answers.append((400, {"error": "invalid_grant"}))
    assert await answered(desk, code="x") == (409, "psc.redeemed")


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"error": "access_denied"}, 403, "psc.denied"),
        ({"code": "x", "iss": "https://psc.example"}, 502, "psc.token_issuer"),
        ({}, 502, "psc.garbled"),
    ],
    ids=str,
)
async def test_a_browser_that_brings_no_login(desk: Workbench, answer: dict[str, str], status: int, code: str) -> None:
    assert await answered(desk, **answer) == (status, code)


async def test_a_browser_that_was_closed(desk: Workbench) -> None:
    provider = await desk.ecps.connection.provider()
    assert isinstance(provider, DirectProvider)
    provider.browser_timeout = 0.1
    assert await refusal(desk, BROWSER) == (403, "psc.browser_timeout")


async def test_userinfo_of_another_subject(desk: Workbench, liar: FakeProvider) -> None:
    liar.claims = {"sub": "f:another"}
    assert await refusal(desk) == (502, "psc.userinfo_subject")


async def test_a_person_who_is_not_the_one_that_was_asked_for(desk: Workbench, liar: FakeProvider) -> None:
    liar.person = dict(person(BOB, "BOB"))
    assert await refusal(desk) == (403, "psc.other_person")


async def test_a_provider_whose_certificate_does_not_hold(liar: FakeProvider, tmp_path: Path) -> None:
    api = workbench_at(Place(liar.issuer, Authority()), tmp_path, CLIENT)
    await api.start()
    assert await refusal(api) == (502, "psc.certificate")
    await api.stop()


async def test_a_provider_that_is_away(liar: FakeProvider, desk: Workbench) -> None:
    await liar.__aexit__(None, None, None)
    assert await refusal(desk) == (503, "psc.unavailable")
