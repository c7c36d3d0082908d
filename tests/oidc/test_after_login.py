"""What follows a login: refresh, resume, exchange, logout; judged by oidc-provider where it can."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from cardd.errors import (
    PscDiscoveryInsecure,
    PscGarbled,
    PscOtherPerson,
    PscRedeemed,
    PscRequestRefused,
    PscSessionOver,
    PscTokenBinding,
)
from cardd.oidc import ciba, renewal
from cardd.oidc.client_auth import (
    ClientAuthentication,
    ClientKey,
    FileSigner,
    PrivateKeyJwt,
    SecretBasic,
    SecretPost,
    TlsClientAuth,
)
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.logout import LogoutNotices
from cardd.oidc.provider import Login, Provider
from cardd.oidc.tokens import Token
from cardd.system.host import SystemClock
from tests.oidc.services import browser_login, log_in, service, trusting
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.people import ALICE, BOB, person
from tests.rig.oidc.pki import ORGANISATION
from tests.rig.oidc.provider import SECRET, PscRig, client
from tests.rig.oidc.renewing import at_rest, refreshed, resumed


async def log_in_at(fake: FakeProvider, provider: Provider) -> Login:
    fake.start["interval"] = 0.01
    fake.tokens["refresh_token"] = "fake-refresh"
    return await (await ciba.start(provider, ALICE)).finish()


async def test_a_login_is_refreshed(psc: PscRig, provider: Provider) -> None:
    login = await log_in(psc, provider)
    fresh = await refreshed(provider, login)
    assert fresh.access != login.tokens.access
    assert fresh.expires_at >= login.tokens.expires_at
    assert fresh.refresh is not None


async def test_a_login_is_resumed_after_a_restart(psc: PscRig, provider: Provider) -> None:
    kept = (await log_in(psc, provider)).tokens.refresh
    assert kept is not None
    async with service(psc) as after:
        login = await resumed(after, at_rest(kept), ALICE)
    assert login.person.identity.national_id == ALICE
    assert login.tokens.refresh is not None


async def test_a_login_is_not_resumed_for_somebody_else(psc: PscRig, provider: Provider) -> None:
    kept = (await log_in(psc, provider)).tokens.refresh
    assert kept is not None
    with pytest.raises(PscOtherPerson):
        await resumed(provider, kept, BOB)


async def test_a_session_that_the_provider_ended_is_over(psc: PscRig, provider: Provider) -> None:
    with pytest.raises(PscSessionOver):
        await resumed(provider, Token("no such token"), ALICE)


async def test_a_login_without_a_refresh_token_cannot_be_refreshed(fake: FakeProvider, at_fake: Provider) -> None:
    fake.start["interval"] = 0.01
    login = await (await ciba.start(at_fake, ALICE)).finish()
    with pytest.raises(PscSessionOver):
        await refreshed(at_fake, login)


async def test_a_refresh_that_brings_another_subject_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    login = await log_in_at(fake, at_fake)
    fake.claims = {"sub": "f:other:899700000001"}
    with pytest.raises(PscOtherPerson):
        await refreshed(at_fake, login)


async def test_a_refresh_without_an_id_token_resumes_nobody_else(fake: FakeProvider, at_fake: Provider) -> None:
    login = await log_in_at(fake, at_fake)
    assert login.tokens.refresh
    fake.answers.append((200, {"access_token": "second", "token_type": "bearer", "expires_in": 60}))
    with pytest.raises(PscOtherPerson):
        await resumed(at_fake, login.tokens.refresh, "899700000099")


async def test_a_logout_that_the_provider_refuses_is_told(fake: FakeProvider, at_fake: Provider) -> None:
    login = await log_in_at(fake, at_fake)
    fake.statuses["end_session"] = 400
    with pytest.raises(PscRequestRefused):
        await at_fake.log_out(login.tokens)


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.é.c", "e30.e30.e30"])
def test_a_token_that_names_no_certificate_is_bound_to_none(token: str) -> None:
    assert renewal.bound_to(Token(token)) is None


async def test_what_a_refresh_leaves_out_stays_as_it_was(fake: FakeProvider, at_fake: Provider) -> None:
    login = await log_in_at(fake, at_fake)
    fake.answers.append((200, {"access_token": "second", "token_type": "bearer", "expires_in": 60}))
    fresh = await refreshed(at_fake, login)
    assert fresh.access == Token("second")
    assert (fresh.refresh, fresh.id_token) == (login.tokens.refresh, login.tokens.id_token)


async def test_a_token_is_exchanged_for_an_api_s(psc: PscRig, provider: Provider) -> None:
    login = await log_in(psc, provider)
    api = await renewal.exchange(provider, login.tokens.access, audience="https://api.example")
    assert api.access != login.tokens.access


async def test_an_exchanged_token_is_bound_to_our_certificate(psc: PscRig) -> None:
    issued = psc.authority.issue(ORGANISATION)
    key = ClientKey.from_pkcs12(issued.pkcs12(b"simulation"), b"simulation")
    async with service(psc, "mtls", TlsClientAuth("mtls"), certificate=key) as provider:
        login = await log_in(psc, provider)
        api = await renewal.exchange(provider, login.tokens.access, thumbprint=key.thumbprint)
    assert await psc.thumbprint(api.access.reveal()) == key.thumbprint


async def test_a_token_that_is_no_longer_good_cannot_be_exchanged(psc: PscRig, provider: Provider) -> None:
    with pytest.raises(PscRedeemed):
        await renewal.exchange(provider, Token("no such token"))


@pytest.mark.parametrize(
    ("confirmation", "accepted"), [("ours", True), ("another's", False), (None, True)], ids=["own", "other", "none"]
)
async def test_an_api_token_of_another_certificate_is_refused(
    fake: FakeProvider, at_fake: Provider, confirmation: str | None, accepted: bool
) -> None:
    claims = {"cnf": {"x5t#S256": confirmation}} if confirmation else {}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    fake.answers.append((200, {"access_token": f"e30.{payload}.AAAA", "token_type": "Bearer"}))
    asked = renewal.exchange(at_fake, Token("fake-access"), thumbprint="ours")
    if accepted:
        assert (await asked).access.reveal().startswith("e30.")
        return
    with pytest.raises(PscTokenBinding):
        await asked


async def test_a_token_is_not_sent_to_an_api_without_https(at_fake: Provider) -> None:
    with pytest.raises(PscDiscoveryInsecure):
        await renewal.exchange(at_fake, Token("fake-access"), endpoint="http://api.example/token")


async def test_a_token_is_sent_where_the_api_s_own_server_is(fake: FakeProvider, at_fake: Provider) -> None:
    api = await renewal.exchange(at_fake, Token("fake-access"), endpoint=f"{fake.issuer}/token", audience="api")
    assert api.access == Token("fake-access")
    assert (fake.forms[-1]["subject_token"], fake.forms[-1]["audience"]) == ("fake-access", "api")


@pytest.mark.parametrize("way", ["basic", "post", "private_key_jwt"])
async def test_another_server_than_the_provider_gets_nothing_that_is_good_at_the_provider(
    fake: FakeProvider, way: str, psc: PscRig
) -> None:
    secret = Token("THE-SECRET")
    key = ClientKey.from_pkcs12(psc.authority.issue(ORGANISATION).pkcs12(b"simulation"), b"simulation")
    ways: dict[str, ClientAuthentication] = {
        "basic": SecretBasic(CLIENT, secret),
        "post": SecretPost(CLIENT, secret),
        "private_key_jwt": PrivateKeyJwt(CLIENT, FileSigner(key, {"kid": "own"})),
    }
    async with FakeProvider() as api:
        settings = ProviderSettings(issuer=fake.issuer, client_id=CLIENT, allow_loopback_http=True)
        provider = Provider(settings, ways[way], SystemClock())
        await renewal.exchange(provider, Token("fake-access"), endpoint=f"{api.issuer}/token")
        await provider.close()
    [form] = api.forms
    assert form["client_id"] == CLIENT
    assert api.shown == [""]
    assert "client_secret" not in form
    if assertion := form.get("client_assertion"):
        told = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
        assert told["aud"] == f"{api.issuer}/token"


async def test_a_refused_login_is_ended_at_the_provider(fake: FakeProvider, at_fake: Provider) -> None:
    fake.person = person(BOB, "BOB")
    with pytest.raises(PscOtherPerson):
        await log_in_at(fake, at_fake)
    assert fake.logouts == 1


async def test_a_kind_of_token_that_is_not_used_here_is_garbled(fake: FakeProvider, at_fake: Provider) -> None:
    fake.answers.append((200, {"access_token": "x", "token_type": "DPoP"}))
    with pytest.raises(PscGarbled):
        await renewal.exchange(at_fake, Token("fake-access"))


async def test_a_login_by_mobile_is_ended_at_the_provider(fake: FakeProvider, at_fake: Provider) -> None:
    login = await log_in_at(fake, at_fake)
    assert login.tokens.id_token is not None
    assert await at_fake.log_out(login.tokens)
    assert fake.forms[-1]["id_token_hint"] == login.tokens.id_token.reveal()


async def test_the_real_provider_takes_the_hint(psc: PscRig, provider: Provider) -> None:
    assert await provider.log_out((await log_in(psc, provider)).tokens)


async def test_a_provider_without_logout_is_left_alone(fake: FakeProvider, at_fake: Provider) -> None:
    fake.discovery["end_session_endpoint"] = None
    login = await log_in_at(fake, at_fake)
    assert not await at_fake.log_out(login.tokens)


@pytest.fixture
async def notices() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """Where a provider sends its logout tokens: address and what came."""
    came: asyncio.Queue[str] = asyncio.Queue()

    async def take(request: web.BaseRequest) -> web.Response:
        came.put_nowait(str((await request.post())["logout_token"]))
        return web.Response()

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", came
    await runner.cleanup()


async def test_a_logout_at_the_provider_is_heard_on_the_back_channel(
    own_psc: PscRig, notices: tuple[str, asyncio.Queue[str]]
) -> None:
    address, came = notices
    own_psc.extra_clients = [
        client("heard", "client_secret_basic", client_secret=SECRET, backchannel_logout_uri=address,
               backchannel_logout_session_required=True)
    ]  # fmt: skip
    await own_psc.start()
    connector = aiohttp.TCPConnector(ssl=trusting(own_psc.authority))
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
        service(own_psc, "heard") as provider,
    ):
        login = await log_in_by_browser(provider, browser)
        await confirm_logout(browser, await logout_page(provider, login))
        async with asyncio.timeout(10):
            raw = await came.get()
        notice = await LogoutNotices(provider).back_channel(raw)
    assert notice.concerns(login.id_token)
    assert notice.sid is not None


async def log_in_by_browser(provider: Provider, browser: aiohttp.ClientSession) -> Login:
    async with browser_login(provider) as begun:
        waiting = asyncio.create_task(begun.finish())
        await (await browser.get(begun.url)).release()
        return await waiting


async def logout_page(provider: Provider, login: Login) -> str:
    """Where the browser's session is ended."""
    address = (await provider.discovery.metadata()).endpoint("end_session")
    assert address is not None
    assert login.tokens.id_token is not None
    hint = {"id_token_hint": login.tokens.id_token.reveal(), "client_id": provider.settings.client_id}
    return str(URL(address).update_query(hint))


async def confirm_logout(browser: aiohttp.ClientSession, url: str) -> None:
    """The provider asks the person; say yes."""
    async with browser.get(url) as shown:
        page = await shown.text()
    secret = page.partition('name="xsrf" value="')[2].partition('"')[0]
    action = page.partition('action="')[2].partition('"')[0]
    async with browser.post(URL(action), data={"xsrf": secret, "logout": "yes"}) as done:
        assert done.status == 200
