"""What a person sees of the sites that they let in, and how they let one in or shut it out: /v1/origins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from cardd.config import Config, Web
from cardd.model import Choice
from tests.api.test_events import stream, ticketed, websocket
from tests.api.workbench import ALLOWED, PAGE, PIN, Got, Json, Workbench
from tests.rig.page_keys import BrowserKey
from tests.rig.waiting import eventually

Start = Callable[[Workbench], Awaitable[Workbench]]

STRANGER = "https://nouveau.example"
ORIGINS = "/v1/origins"
FROM_PAGE = {"Origin": PAGE}
LOGIN: Json = {"method": "cpx"}
SIGN: Json = {"digest": "A" * 43 + "=", "document_name": "compte rendu"}


@pytest.fixture
async def asking(started: Start, tmp_path: Path) -> Workbench:
    return await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))


async def listed(api: Workbench) -> dict[str, Json]:
    found = (await api.call("GET", ORIGINS, via="unix")).json["origins"]
    assert isinstance(found, list)
    return {one["origin"]: one for one in found}


async def allow(api: Workbench, origin: str = STRANGER, **more: object) -> Got:
    return await api.call("POST", ORIGINS, {"origin": origin, **more}, via="unix")


async def revoke(api: Workbench, origin: str = PAGE, key: str = "") -> Got:
    return await api.call("DELETE", f"{ORIGINS}/{quote(origin, safe='')}{key and f'?key={key}'}", via="unix")


async def test_the_list_has_what_is_listed_let_in_and_refused(asking: Workbench) -> None:
    api = asking
    api.person.choices = [Choice.ALWAYS, Choice.NO]
    await api.enter(STRANGER)
    await api.enter("https://refuse.example")
    found = await listed(api)
    assert set(found) == {*ALLOWED, STRANGER, "https://refuse.example"}
    assert (found[PAGE]["listed"], found[PAGE]["rights"]) == (
        True,
        ["detect", "holder", "authenticate", "sign", "relay"],
    )
    keys = found[STRANGER]["keys"]
    assert isinstance(keys, list)
    [key] = keys
    assert (key["id"], key["rights"]) == (api.key.id, ["detect", "holder", "authenticate", "sign"])
    assert (found[STRANGER]["listed"], found[STRANGER]["active"], found[STRANGER]["refused"]) == (False, True, False)
    assert (found["https://refuse.example"]["refused"], found["https://refuse.example"]["keys"]) == (True, [])


@pytest.mark.parametrize(("method", "path"), [("GET", ORIGINS), ("POST", ORIGINS), ("DELETE", f"{ORIGINS}/x")])
async def test_the_list_is_for_the_person_alone(api: Workbench, method: str, path: str) -> None:
    body = {"origin": STRANGER} if method == "POST" else None
    for headers, bearer in ((FROM_PAGE, None), ({}, await api.pair())):
        assert (await api.call(method, path, body, headers=headers, bearer=bearer)).code == "request.forbidden"


async def test_another_user_sees_and_ends_nothing_of_it(asking: Workbench) -> None:
    api = asking
    api.person.choice = Choice.ALWAYS
    token = (await api.enter(STRANGER)).text("token")
    own = api.uid or 0
    api.turn_to(1002)
    assert STRANGER not in await listed(api)
    assert (await revoke(api, STRANGER)).code == "page.site_not_found"
    api.turn_to(own)
    assert (await api.call("GET", "/v1/cards", bearer=token, headers={"Origin": STRANGER})).status == 200


# --- shutting out


async def test_a_site_that_is_shut_out_loses_its_sessions_its_streams_and_its_dialog_at_once(api: Workbench) -> None:
    opened = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    path, token = opened.headers["Location"], opened.text("token")
    pass_, ticket = await api.page_pass(PAGE), await ticketed(api)
    api.person.attentive.clear()
    signing = asyncio.ensure_future(api.call("POST", f"{path}/signatures", SIGN, bearer=token, headers=FROM_PAGE))
    await eventually(lambda: api.person.open == ["sign"])
    async with stream(api, via="v4", Origin=PAGE) as told, websocket(api) as heard:
        await told()
        await heard()
        assert (await revoke(api)).status == 204
        assert api.events.listeners == 0
    assert (await asyncio.wait_for(signing, 5)).code in ("page.consent_needed", "session.closed")
    assert (api.person.open, api.sessions.of(api.uid or 0)) == ([], [])
    assert (await api.call("GET", "/v1/cards", bearer=pass_, headers=FROM_PAGE)).code == "page.proof_needed"
    late = await api.http().get(api.base() + ticket, headers=FROM_PAGE)
    assert late.status == 401
    ended = await api.call("GET", path, bearer=token, headers=FROM_PAGE)
    assert ended.code == "session.closed"
    assert "son site a été écarté" in ended.text("detail")
    assert (await api.enter(PAGE, ask=False)).code == "page.consent_needed"
    await eventually(lambda: "origin.revoke done" in api.audit.acts())


async def test_one_browser_is_shut_out_and_the_other_goes_on(api: Workbench) -> None:
    lost = BrowserKey()
    assert (await api.enter(PAGE, lost)).status == 201
    assert (await revoke(api, key=lost.id)).status == 204
    assert (await api.enter(PAGE, lost, ask=False)).code == "page.consent_needed"
    assert (await api.enter(PAGE, ask=False)).status == 201
    assert (await revoke(api, key=lost.id)).code == "page.site_not_found"
    assert (await revoke(api, key=api.key.id)).status == 204
    assert (await listed(api))[PAGE]["keys"] == []


async def test_a_site_stays_shut_out_when_the_daemon_starts_anew(
    api: Workbench, started: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert (await revoke(api)).status == 204
    again = await started(Workbench(tmp_path_factory.mktemp("again"), store=api.store))
    again.key = api.key
    assert (await again.enter(PAGE, ask=False)).code == "page.consent_needed"


async def test_a_page_forgets_its_own_browser_and_no_other(api: Workbench) -> None:
    own = BrowserKey()
    token = (await api.enter(PAGE, own)).text("token")
    path = f"/v1/clients/{quote(PAGE, safe='')}"
    assert (await api.call("DELETE", path, bearer=token, headers=FROM_PAGE)).status == 204
    assert (await api.enter(PAGE, own, ask=False)).code == "page.consent_needed"
    assert (await api.enter(PAGE, ask=False)).status == 201


# --- letting in


async def test_the_person_lets_a_site_in_before_its_page_comes(asking: Workbench) -> None:
    api = asking
    api.person.choice = Choice.ALWAYS
    got = await allow(api, rights=["detect"])
    assert (got.status, got.json["keys"]) == (201, [])
    [question] = api.person.questions
    assert {"by_command", "may_detect", "until"} <= question.params.keys()
    entered = await api.enter(STRANGER, rights=["detect"], ask=False)
    assert entered.json["rights"] == ["detect"]
    assert (await api.enter(STRANGER, BrowserKey(), rights=["detect"], ask=False)).code == "page.consent_needed"
    assert [act for act in api.audit.acts() if act.startswith("origin")] == ["origin.allow done"] * 2


async def test_what_was_let_in_for_little_or_long_ago_is_asked_about_all_the_same(asking: Workbench) -> None:
    api = asking
    await allow(api, rights=["detect"])
    assert (await api.enter(STRANGER, rights=["sign"], ask=False)).code == "page.consent_needed"
    await allow(api)
    api.clock.seconds += 300
    assert (await api.enter(STRANGER, ask=False)).code == "page.consent_needed"


async def test_who_refuses_there_lets_nobody_in(asking: Workbench) -> None:
    api = asking
    api.person.choice = Choice.NO
    assert (await allow(api)).code == "client.pairing_refused"
    assert (await api.enter(STRANGER, ask=False)).code == "client.pairing_refused"


async def test_a_site_that_was_refused_by_mistake_is_let_in_that_way(asking: Workbench) -> None:
    api = asking
    api.person.choices = [Choice.NO, Choice.ALWAYS]
    assert (await api.enter(STRANGER)).code == "client.pairing_refused"
    assert (await allow(api)).status == 201
    assert (await api.enter(STRANGER)).status == 201


@pytest.mark.parametrize(
    "origin", ["http://site.example", "https://site.example/", "https://localhost", "site.example"]
)
async def test_what_is_no_https_site_cannot_be_let_in(asking: Workbench, origin: str) -> None:
    got = await allow(asking, origin)
    assert (got.status, got.code) == (403, "page.not_askable")
    assert asking.person.questions == []


async def test_where_only_listed_sites_are_taken_the_person_lets_no_other_in(api: Workbench) -> None:
    assert (await allow(api)).code == "page.not_askable"
    assert api.person.questions == []
    assert (await allow(api, PAGE)).status == 201  # another browser of a listed one
    assert (await api.enter(PAGE, BrowserKey(), ask=False)).status == 201


async def test_a_login_of_a_page_survives_another_sites_end(api: Workbench) -> None:
    opened = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    api.person.pins = [PIN]
    assert (await revoke(api, ALLOWED[1])).status == 204
    got = await api.call("GET", opened.headers["Location"], bearer=opened.text("token"), headers=FROM_PAGE)
    assert got.status == 200
