"""Sessions by the browser (authorization code), and logouts that the provider tells of; judged by oidc-provider."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from cardd.model import Choice
from tests.api.ecps import ends_in, login_of, pair, pending, workbench_at
from tests.api.workbench import PIN, SOFTWARE, Got, Workbench
from tests.oidc.services import trusting
from tests.rig.memory import RunningClock
from tests.rig.oidc.people import ALICE, PEOPLE
from tests.rig.oidc.provider import SECRET, PscRig, client
from tests.rig.ports import free_port
from tests.rig.waiting import eventually

LOGIN: dict[str, object] = {"method": "ecps", "flow": "browser"}


@pytest_asyncio.fixture
async def browser(psc: PscRig) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trusting(psc.authority))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as made:
        yield made


async def begin(api: Workbench, login: dict[str, object] = LOGIN) -> Got:
    got = await api.call("POST", "/v1/sessions", login, bearer=await pair(api))
    assert (got.status, got.text("state")) == (202, "pending"), got.raw
    assert "binding_message" not in got.json
    return got


def path_of(got: Got) -> str:
    return f"/v1/sessions/{got.text('id')}"


async def visit(browser: aiohttp.ClientSession, got: Got) -> str:
    async with browser.get(got.text("authorization_url"), headers={"Accept-Language": "fr"}) as shown:
        return await shown.text()


async def test_who_logs_in_on_psc_s_page_has_a_session_without_a_national_id_asked(
    ecps: Workbench, browser: aiohttp.ClientSession
) -> None:
    got = await begin(ecps)
    assert "Retournez à votre logiciel" in await visit(browser, got)
    assert await ends_in(ecps, path_of(got), got.text("token")) == (200, "active")
    shown = await ecps.call("GET", path_of(got), bearer=got.text("token"))
    assert shown.text("identity", "national_id") == ALICE
    assert "authorization_url" not in shown.json
    assert ecps.audit.entries[-1].consent == "browser"


async def test_the_address_is_told_to_the_program_and_to_nobody_who_listens_only(ecps: Workbench) -> None:
    ecps.person.attentive.set()
    got = await begin(ecps)
    assert URL(got.text("authorization_url")).query["code_challenge_method"] == "S256"
    listed = await ecps.call("GET", "/v1/sessions", via="unix")
    assert b"authorization_url" not in listed.raw
    assert got.text("token").encode() not in listed.raw


async def test_refused_on_the_page_it_is_no_session(
    ecps: Workbench, psc: PscRig, browser: aiohttp.ClientSession
) -> None:
    await psc.browser(error="access_denied")
    got = await begin(ecps)
    await visit(browser, got)
    assert await ends_in(ecps, path_of(got), got.text("token")) == (403, "psc.denied")


async def test_somebody_else_in_the_browser_than_was_asked_for_gets_no_session(
    ecps: Workbench, psc: PscRig, browser: aiohttp.ClientSession
) -> None:
    await psc.browser(account=PEOPLE[1]["sub"])
    got = await begin(ecps, {**LOGIN, "login_hint": ALICE})
    await visit(browser, got)
    assert await ends_in(ecps, path_of(got), got.text("token")) == (403, "psc.other_person")


async def test_a_browser_that_comes_back_after_the_login_was_given_up_changes_nothing(
    ecps: Workbench, browser: aiohttp.ClientSession
) -> None:
    got = await begin(ecps)
    assert (await ecps.call("DELETE", path_of(got), bearer=got.text("token"))).status == 204
    assert "Retournez à votre logiciel" not in await visit(browser, got)
    assert ecps.sessions.of(os.getuid()) == []


async def test_a_browser_that_brings_the_answer_of_no_login_of_ours_changes_nothing(
    ecps: Workbench, browser: aiohttp.ClientSession
) -> None:
    got = await begin(ecps)
    back = URL(URL(got.text("authorization_url")).query["redirect_uri"])
    for answer in ({"state": "another", "code": "x"}, {"code": "x"}, {"error": "access_denied"}):
        async with browser.get(back.with_query(answer)) as shown:
            assert shown.status == 400
    assert (await ecps.call("GET", path_of(got), bearer=got.text("token"))).text("state") == "pending"
    await visit(browser, got)
    assert await ends_in(ecps, path_of(got), got.text("token")) == (200, "active")


@pytest.mark.parametrize("stranger", [4321, None], ids=["another user", "nobody knows who"])
async def test_the_browser_of_another_user_of_the_machine_finishes_no_login(
    ecps: Workbench, browser: aiohttp.ClientSession, stranger: int | None
) -> None:
    got = await begin(ecps)
    ecps.uid = stranger
    assert "Retournez à votre logiciel" not in await visit(browser, got)
    ecps.uid = os.getuid()
    assert (await ecps.call("GET", path_of(got), bearer=got.text("token"))).text("state") == "pending"
    await visit(browser, got)
    assert await ends_in(ecps, path_of(got), got.text("token")) == (200, "active")


async def test_the_start_address_leads_its_own_user_to_the_page_and_tells_others_nothing(
    ecps: Workbench, browser: aiohttp.ClientSession
) -> None:
    got = await begin(ecps)
    start = got.text("start_url")
    assert URL(start).host == "127.0.0.1"
    assert not {"state", "nonce", "code_challenge"} & set(URL(start).query)
    ecps.uid = 4321
    async with browser.get(start, allow_redirects=False) as shown:
        assert (shown.status, "Location" in shown.headers) == (400, False)
    ecps.uid = os.getuid()
    async with browser.get(start + "x", allow_redirects=False) as shown:
        assert shown.status == 400
    async with browser.get(start, allow_redirects=False) as shown:
        assert shown.headers["Location"] == got.text("authorization_url")
        assert (shown.headers["Cache-Control"], shown.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    async with browser.get(start, headers={"Accept-Language": "fr"}) as shown:
        assert "Retournez à votre logiciel" in await shown.text()
    assert await ends_in(ecps, path_of(got), got.text("token")) == (200, "active")
    async with browser.get(start, allow_redirects=False) as shown:
        assert shown.status == 400  # the login is over


async def test_two_browser_logins_end_each_in_its_own_session(ecps: Workbench, browser: aiohttp.ClientSession) -> None:
    first, second = await begin(ecps), await begin(ecps)
    await visit(browser, second)
    assert await ends_in(ecps, path_of(second), second.text("token")) == (200, "active")
    shown = await ecps.call("GET", path_of(first), bearer=first.text("token"))
    assert shown.text("state") == "pending"


@pytest_asyncio.fixture
async def heard(tmp_path: Path) -> AsyncIterator[tuple[Workbench, PscRig, int]]:
    """A service at a provider that tells it of logouts, on the port where the browser comes back to."""
    port = free_port()
    psc = PscRig()
    psc.extra_clients = [
        client(
            "heard",
            "client_secret_basic",
            client_secret=SECRET,
            backchannel_logout_uri=f"http://127.0.0.1:{port}/backchannel-logout",
            backchannel_logout_session_required=True,
        )
    ]
    await psc.start()
    api = workbench_at(psc, tmp_path, "heard", redirect_port=port)
    await api.start()
    yield api, psc, port
    await api.stop()
    await psc.stop()


async def opened(api: Workbench, browser: aiohttp.ClientSession) -> Got:
    got = await begin(api)
    await visit(browser, got)
    assert await ends_in(api, path_of(got), got.text("token")) == (200, "active")
    return got


async def test_a_logout_at_the_provider_closes_the_session(heard: tuple[Workbench, PscRig, int]) -> None:
    api, psc, _ = heard
    connector = aiohttp.TCPConnector(ssl=trusting(psc.authority))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        got = await opened(api, browser)
        async with browser.get(f"{psc.issuer}/protocol/openid-connect/logout") as shown:
            page = await shown.text()
        secret = page.partition('name="xsrf" value="')[2].partition('"')[0]
        action = page.partition('action="')[2].partition('"')[0]
        await (await browser.post(URL(action), data={"xsrf": secret, "logout": "yes"})).release()
    await eventually(lambda: api.sessions.of(os.getuid()) == [])
    assert await ends_in(api, path_of(got), got.text("token")) == (401, "session.closed")


async def test_the_provider_s_page_ends_the_session_that_it_names_and_no_other(
    heard: tuple[Workbench, PscRig, int],
) -> None:
    api, psc, port = heard
    connector = aiohttp.TCPConnector(ssl=trusting(psc.authority))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        got = await opened(api, browser)
        address = URL(f"http://127.0.0.1:{port}/logout")
        sid = login_of(api).login.id_token.sid or ""
        wrong = ({"iss": psc.issuer, "sid": "another"}, {"iss": "https://psc.example", "sid": sid})
        for query in wrong:
            await (await browser.get(address.update_query(query))).release()
        assert await ends_in(api, path_of(got), got.text("token")) == (200, "active")
        await (await browser.get(address.update_query(iss=psc.issuer, sid=sid))).release()
    await eventually(lambda: api.sessions.of(os.getuid()) == [])


async def test_a_logout_is_heard_of_a_session_that_the_daemon_before_opened(
    heard: tuple[Workbench, PscRig, int], tmp_path: Path
) -> None:
    api, psc, port = heard
    connector = aiohttp.TCPConnector(ssl=trusting(psc.authority))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        got = await opened(api, browser)
        await eventually(lambda: any(name.startswith("ecps-") for name in api.secrets.values))
        sid = login_of(api).login.id_token.sid or ""
        api.sessions.close_where(lambda _: True, "daemon_stopped")
        await api.ecps.stop()
        second = Workbench(tmp_path / "second", api.config, clock=RunningClock(), store=api.store, secrets=api.secrets)
        (tmp_path / "second").mkdir()
        await second.start()
        assert await ends_in(second, path_of(got), got.text("token")) == (200, "active")
        address = URL(f"http://127.0.0.1:{port}/logout").with_query(iss=psc.issuer, sid=sid)
        await (await browser.get(address)).release()
        await eventually(lambda: second.sessions.of(os.getuid()) == [])
        await second.stop()


async def test_a_logout_token_of_nobody_s_is_refused(heard: tuple[Workbench, PscRig, int]) -> None:
    api, psc, port = heard
    connector = aiohttp.TCPConnector(ssl=trusting(psc.authority))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        got = await opened(api, browser)
        address = f"http://127.0.0.1:{port}/backchannel-logout"
        for data in ({"logout_token": "e30.e30.e30"}, {}):
            async with browser.post(address, data=data) as answer:
                assert answer.status == 400
        assert await ends_in(api, path_of(got), got.text("token")) == (200, "active")


async def test_a_taken_port_is_told_with_its_number_and_leaves_the_mobile_alone(psc: PscRig, tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", free_port())
    port = taken.sockets[0].getsockname()[1]
    api = workbench_at(psc, tmp_path, redirect_port=port)
    await api.start()
    got = await api.call("POST", "/v1/sessions", LOGIN, bearer=await pair(api))
    assert got.code == "daemon.address_in_use"
    assert str(port) in got.text("detail")
    await pending(api)
    await api.stop()
    taken.close()
    await taken.wait_closed()


async def test_a_program_that_begins_logins_and_ends_them_is_soon_asked_to_wait(ecps: Workbench) -> None:
    secret = await pair(ecps)
    for _ in range(3):
        got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=secret)
        await eventually(lambda: ecps.person.open == ["ecps_browser"])
        await ecps.call("DELETE", path_of(got), bearer=got.text("token"))
        await eventually(lambda: not ecps.person.open)
    assert (await ecps.call("POST", "/v1/sessions", LOGIN, bearer=secret)).code == "consent.refused_often"


async def test_the_dialog_stays_as_long_as_the_login_and_speaks_as_the_program(ecps: Workbench) -> None:
    got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=await pair(ecps), headers={"Accept-Language": "en"})
    await eventually(lambda: ecps.person.open == ["ecps_browser"])
    question = ecps.person.questions[-1]
    assert (question.own_time, question.language) == (True, "en")  # no [prompt] timeout ends it before the login ends
    assert 295 <= question.timeout <= 300
    await ecps.call("DELETE", path_of(got), bearer=got.text("token"))
    await eventually(lambda: not ecps.person.open)


def has_asked_for_pins(api: Workbench, count: int) -> bool:
    return api.person.open == ["login"] and len(api.person.pin_questions) == count


async def test_the_dialog_of_a_browser_login_makes_room_for_a_pin_and_comes_back(
    ecps: Workbench, browser: aiohttp.ClientSession
) -> None:
    other, got = await pair(ecps), await begin(ecps)
    await eventually(lambda: ecps.person.open == ["ecps_browser"])
    before = ecps.person.questions[-1].timeout
    ecps.person.pins = [PIN, PIN]
    async with asyncio.TaskGroup() as calls:
        for _ in range(2):  # the second one comes while the dialog makes room
            calls.create_task(ecps.login(other))
        for asked in (1, 2):
            await eventually(partial(has_asked_for_pins, ecps, asked))
            ecps.person.attentive.set()
            ecps.person.attentive.clear()
    await eventually(lambda: ecps.person.open == ["ecps_browser"])
    assert 0 < ecps.person.questions[-1].timeout < before
    await visit(browser, got)
    assert await ends_in(ecps, path_of(got), got.text("token")) == (200, "active")
    assert not ecps.person.open


async def test_a_dialog_that_came_back_can_end_the_login(ecps: Workbench) -> None:
    got = await begin(ecps)
    await eventually(lambda: ecps.person.open == ["ecps_browser"])
    pairing = asyncio.ensure_future(ecps.call("POST", "/v1/clients", {**SOFTWARE, "name": "Autre"}))
    await eventually(lambda: ecps.person.open == ["pair"])
    ecps.person.choices = [Choice.YES, Choice.NO]
    ecps.person.attentive.set()
    assert (await pairing).status == 201
    await eventually(lambda: ecps.person.topics()[-1] == "ecps_browser")
    assert await ends_in(ecps, path_of(got), got.text("token")) == (403, "consent.refused")


async def test_logins_that_end_well_make_nobody_wait(ecps: Workbench, browser: aiohttp.ClientSession) -> None:
    secret = await pair(ecps)
    for _ in range(4):
        got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=secret)
        await visit(browser, got)
        assert await ends_in(ecps, path_of(got), got.text("token")) == (200, "active")
        await ecps.call("DELETE", path_of(got), bearer=got.text("token"))
