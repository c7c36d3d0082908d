"""Login by the browser, judged by oidc-provider; the browser is an HTTP client that follows where it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from cardd.errors import (
    CarddError,
    PscBrowserTimeout,
    PscDenied,
    PscGarbled,
    PscOtherPerson,
    PscRedeemed,
    PscRequestRefused,
    PscTokenBinding,
    PscTokenIssuer,
)
from cardd.oidc.discovery import ProviderSettings, RedirectIssuer
from cardd.oidc.provider import Provider
from tests.oidc.services import browser_login, service, trusting
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import ALICE, PEOPLE
from tests.rig.oidc.provider import PscRig

FRENCH = {"Accept-Language": "fr-FR,fr;q=0.9"}
ENGLISH = {"Accept-Language": "en-GB"}


@pytest.fixture
async def browser(psc: PscRig) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trusting(psc.authority))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as made:
        yield made


async def come_back(url: str, **answer: str) -> tuple[int, str]:
    """Open the redirect of a login with this answer, as a browser would; status and page."""
    back = URL(URL(url).query["redirect_uri"]).update_query(answer)
    async with aiohttp.ClientSession() as client, client.get(back, headers=FRENCH) as shown:
        return shown.status, await shown.text()


def state_of(url: str) -> str:
    return URL(url).query["state"]


async def test_who_logs_in_on_the_provider_s_page_is_known_here(
    psc: PscRig, provider: Provider, browser: aiohttp.ClientSession
) -> None:
    async with browser_login(provider, login_hint=ALICE) as begun:
        waiting = asyncio.create_task(begun.finish(national_id=ALICE))
        async with browser.get(begun.url, headers=FRENCH) as shown:
            page = await shown.text()
            assert shown.url.host == "127.0.0.1"
        login = await waiting
    assert login.person.identity.national_id == ALICE
    assert "Retournez à votre logiciel" in page
    assert login.tokens.refresh is not None


async def test_everything_that_protects_the_login_is_asked_for(psc: PscRig, provider: Provider) -> None:
    async with browser_login(provider) as first, browser_login(provider) as second:
        asked, again = URL(first.url).query, URL(second.url).query
    assert asked["code_challenge_method"] == "S256"
    assert (asked["response_type"], asked["scope"], asked["acr_values"]) == ("code", "openid scope_all", "eidas1")
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge", "redirect_uri"))


async def test_level_scope_and_more_are_asked_for_as_they_are_configured(psc: PscRig) -> None:
    settings = ProviderSettings(
        psc.issuer,
        "basic",
        scope="openid scope_all extra",
        acr="eidas2",
        parameters={"ui_locales": "fr"},
        idp_hint="hopital-simulation",
    )
    async with service(psc, settings=settings) as provider, browser_login(provider) as begun:
        asked = URL(begun.url).query
    assert (asked["scope"], asked["acr_values"]) == ("openid scope_all extra", "eidas2")
    assert (asked["ui_locales"], asked["kc_idp_hint"]) == ("fr", "hopital-simulation")


async def test_no_level_is_asked_for_where_none_is_configured(psc: PscRig) -> None:
    settings = ProviderSettings(psc.issuer, "basic", acr=None)
    async with service(psc, settings=settings) as provider, browser_login(provider) as begun:
        assert "acr_values" not in URL(begun.url).query


async def test_a_person_who_refuses_on_the_page_is_told_as_such(
    psc: PscRig, provider: Provider, browser: aiohttp.ClientSession
) -> None:
    await psc.browser(error="access_denied")
    async with browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish())
        async with browser.get(begun.url, headers=ENGLISH) as shown:
            assert "The login did not succeed" in await shown.text()
        with pytest.raises(PscDenied):
            await waiting


async def test_somebody_else_than_expected_gets_no_login(
    psc: PscRig, provider: Provider, browser: aiohttp.ClientSession
) -> None:
    await psc.browser(account=PEOPLE[1]["sub"])
    async with browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish(national_id=ALICE))
        await (await browser.get(begun.url)).release()
        with pytest.raises(PscOtherPerson):
            await waiting


async def test_a_browser_that_never_comes_back_ends_in_time(provider: Provider) -> None:
    async with browser_login(provider) as begun:
        with pytest.raises(PscBrowserTimeout):
            await begun.finish(timeout=0.1)


async def test_a_cancelled_login_listens_no_more(provider: Provider) -> None:
    async with browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    with pytest.raises(aiohttp.ClientConnectorError):
        await come_back(begun.url)


async def test_the_answer_of_another_login_changes_nothing(
    psc: PscRig, provider: Provider, browser: aiohttp.ClientSession
) -> None:
    async with browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish())
        status, page = await come_back(begun.url, state="wrong", code="stolen")
        assert (status, "pas attendue ici" in page) == (400, True)
        status, page = await come_back(begun.url, state="wrong", error="access_denied")
        assert status == 400
        await (await browser.get(begun.url)).release()
        assert (await waiting).person.identity.national_id == ALICE


async def test_the_page_that_came_back_cannot_be_used_again(
    psc: PscRig, provider: Provider, browser: aiohttp.ClientSession
) -> None:
    async with browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish())
        async with browser.get(begun.url) as shown:
            back = shown.url
        await waiting
        async with browser.get(back, headers=ENGLISH) as shown:
            assert (shown.status, "Answer already received" in await shown.text()) == (410, True)
        with pytest.raises(PscRedeemed):
            await begun.finish()


async def test_a_code_that_was_redeemed_is_refused_by_the_provider(
    psc: PscRig, provider: Provider, browser: aiohttp.ClientSession
) -> None:
    async with browser_login(provider) as first:
        waiting = asyncio.create_task(first.finish())
        async with browser.get(first.url) as shown:
            code = shown.url.query["code"]
        await waiting
    async with browser_login(provider) as second:
        waiting = asyncio.create_task(second.finish())
        await come_back(second.url, state=state_of(second.url), code=code, iss=psc.issuer)
        with pytest.raises(PscRedeemed):
            await waiting


@pytest.mark.parametrize(
    ("answer", "redirect_issuer", "expected"),
    [
        ({"code": "x"}, "announced", PscTokenIssuer),
        ({"error": "access_denied"}, "announced", PscTokenIssuer),
        ({"code": "x", "iss": "https://psc.example"}, "announced", PscTokenIssuer),
        ({"code": "x", "iss": "https://psc.example"}, "optional", PscTokenIssuer),
        ({"code": "x", "iss": ""}, "optional", PscTokenIssuer),
        ({"code": "x"}, "optional", PscRedeemed),  # the provider judges the code
        ({"error": "access_denied"}, "optional", PscDenied),
    ],
    ids=str,
)
async def test_a_redirect_that_does_not_name_the_provider_is_judged_by_the_configuration(
    psc: PscRig, answer: dict[str, str], redirect_issuer: RedirectIssuer, expected: type[CarddError]
) -> None:
    settings = ProviderSettings(psc.issuer, "basic", redirect_issuer=redirect_issuer)
    async with service(psc, settings=settings) as provider, browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish())
        await come_back(begun.url, state=state_of(begun.url), **answer)
        with pytest.raises(expected):
            await waiting


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, PscGarbled),
        ({"error": "login_required"}, PscRequestRefused),
        ({"error": "access_denied"}, PscDenied),
        ({"code": "x", "iss": "https://psc.example"}, PscTokenIssuer),
    ],
    ids=str,
)
async def test_a_redirect_without_a_code_is_told_by_its_cause(
    at_fake: Provider, answer: dict[str, str], expected: type[CarddError]
) -> None:
    async with browser_login(at_fake) as begun:
        waiting = asyncio.create_task(begun.finish())
        await come_back(begun.url, state=state_of(begun.url), **answer)
        with pytest.raises(expected):
            await waiting


@pytest.mark.parametrize("nonce", [None, "another", 7])
async def test_an_id_token_without_the_login_s_nonce_is_refused(
    fake: FakeProvider, at_fake: Provider, nonce: object
) -> None:
    fake.claims = {"nonce": nonce}
    async with browser_login(at_fake) as begun:
        waiting = asyncio.create_task(begun.finish())
        await come_back(begun.url, state=state_of(begun.url), code="x")
        with pytest.raises(PscTokenBinding) as refused:
            await waiting
    assert refused.value.params["claim"] == "nonce"


async def test_the_code_s_verifier_is_sent_with_it(fake: FakeProvider, at_fake: Provider) -> None:
    async with browser_login(at_fake) as begun:
        fake.claims = {"nonce": URL(begun.url).query["nonce"]}
        waiting = asyncio.create_task(begun.finish())
        await come_back(begun.url, state=state_of(begun.url), code="x")
        assert (await waiting).person.identity.national_id == ALICE
    form = fake.forms[-1]
    assert (form["grant_type"], form["code"]) == ("authorization_code", "x")
    assert len(form["code_verifier"]) >= 43


@pytest.mark.parametrize(
    ("method", "path", "host"),
    [
        ("POST", "/callback", None),
        ("GET", "/", None),
        ("GET", "/favicon.ico", None),
        ("GET", "/callback", "localhost"),
        ("GET", "/callback", "rebound.example"),
    ],
)
async def test_nothing_else_is_answered_on_the_port(
    at_fake: Provider, method: str, path: str, host: str | None
) -> None:
    async with browser_login(at_fake) as begun:
        url = URL(URL(begun.url).query["redirect_uri"]).with_path(path).update_query(state=state_of(begun.url))
        headers = {"Host": host} if host else {}
        async with aiohttp.ClientSession() as client, client.request(method, url, headers=headers) as shown:
            assert shown.status == 404
        with pytest.raises(PscBrowserTimeout):
            await begun.finish(timeout=0.1)


async def test_a_state_that_is_given_twice_is_none(at_fake: Provider) -> None:
    async with browser_login(at_fake) as begun:
        url = URL(URL(begun.url).query["redirect_uri"]).with_query([("state", state_of(begun.url))] * 2)
        async with aiohttp.ClientSession() as client, client.get(url) as shown:
            assert shown.status == 400


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([("code", "x"), ("iss", "https://psc.example")], PscTokenIssuer),
        ([("code", "x"), ("code", "y")], PscGarbled),
        ([("code", "x"), ("error", "access_denied"), ("error", "")], PscRequestRefused),
    ],
    ids=["iss", "code", "error"],
)
async def test_a_redirect_that_says_a_thing_twice_gives_no_code(
    at_fake: Provider, fake: FakeProvider, told: list[tuple[str, str]], expected: type[CarddError]
) -> None:
    async with browser_login(at_fake) as begun:
        waiting = asyncio.create_task(begun.finish())
        answer = [("state", state_of(begun.url)), ("iss", fake.issuer), *told]
        url = URL(URL(begun.url).query["redirect_uri"]).with_query(answer)
        async with aiohttp.ClientSession() as client, client.get(url):
            pass
        with pytest.raises(expected):
            await waiting


async def test_the_page_holds_nothing_of_the_answer_and_runs_nothing(at_fake: Provider) -> None:
    async with browser_login(at_fake) as begun:
        url = URL(URL(begun.url).query["redirect_uri"])
        async with (
            aiohttp.ClientSession() as client,
            client.get(
                url.update_query(state=state_of(begun.url), error="<script>", error_description="secret")
            ) as shown,
        ):
            page = await shown.text()
            assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert shown.headers["Cache-Control"] == "no-store"
    assert "script" not in page
    assert "secret" not in page


async def test_a_service_may_listen_where_it_is_registered(at_fake: Provider) -> None:
    async with browser_login(at_fake, path="/psc/retour") as begun:
        assert URL(begun.url).query["redirect_uri"].endswith("/psc/retour")
