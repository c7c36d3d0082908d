"""Sessions through the editor's server (proxy LPS): the same resource, with the credentials elsewhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from msgspec.structs import replace

from cardd.config import Config, Psc
from cardd.model import Choice
from tests.api.ecps import LOGIN, ends_in, pair, pending
from tests.api.workbench import Workbench
from tests.rig.memory import RunningClock
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.proxy_lps import ProxyLps
from tests.rig.ports import free_port
from tests.rig.waiting import eventually

IDENTITY = "userinfo"


@pytest_asyncio.fixture
async def editor() -> AsyncIterator[ProxyLps]:
    async with ProxyLps(Authority()) as made:
        yield made


def workbench_at(editor: ProxyLps, directory: Path, **proxy: object) -> Workbench:
    authorities = directory / "editor.pem"
    authorities.write_bytes(editor.authority.pem)
    psc = Psc(mode="proxy", client_id="lps-test", authorities=authorities, proxy=editor.url, proxy_identity=IDENTITY)
    api = Workbench(directory, Config(psc=replace(psc, **proxy)), clock=RunningClock())
    api.person.attentive.clear()
    return api


@pytest_asyncio.fixture
async def api(editor: ProxyLps, tmp_path: Path) -> AsyncIterator[Workbench]:
    made = workbench_at(editor, tmp_path)
    await made.start()
    yield made
    await made.stop()


async def rings(editor: ProxyLps, who: str = ALICE) -> None:
    await eventually(lambda: editor.waits_for(who))


async def test_agreed_on_the_mobile_it_is_the_same_session(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api)
    got = await api.call("GET", path, bearer=token)
    await rings(editor)
    assert editor.asked == [
        {
            "nationalId": ALICE,
            "bindingMessage": got.text("binding_message"),
            "clientId": "lps-test",
            "channel": "MOBILE",
        }
    ]
    editor.approve(ALICE)
    assert await ends_in(api, path, token) == (200, "active")
    got = await api.call("GET", path, bearer=token)
    assert (got.text("identity", "family_name"), got.text("situation")) == ("SIMULATION", "1.1")


async def test_where_the_editor_tells_no_identity_the_session_has_the_national_id_and_no_name(
    editor: ProxyLps, tmp_path: Path
) -> None:
    api = workbench_at(editor, tmp_path, proxy_identity=None)
    await api.start()
    path, token = await pending(api)
    await rings(editor)
    editor.approve(ALICE)
    assert await ends_in(api, path, token) == (200, "active")
    got = await api.call("GET", path, bearer=token)
    assert (got.text("identity", "national_id"), got.text("identity", "family_name")) == (ALICE, "")
    await api.stop()


async def test_closing_it_disconnects_at_the_editor_s(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api)
    await rings(editor)
    editor.approve(ALICE)
    await ends_in(api, path, token)
    assert (await api.call("DELETE", path, bearer=token)).status == 204
    await eventually(lambda: editor.ended == [ALICE])


async def test_a_daemon_that_stops_disconnects_at_the_editor_s(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api)
    await rings(editor)
    editor.approve(ALICE)
    await ends_in(api, path, token)
    api.sessions.close_where(lambda _: True, "daemon_stopped")
    await api.ecps.stop()
    assert editor.ended == [ALICE]


async def test_giving_up_breaks_off_what_waits_at_the_editor_s(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api)
    await rings(editor)
    await api.call("DELETE", path, bearer=token)
    await eventually(lambda: editor.broken_off == [ALICE])


async def test_an_unknown_person_is_told(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api, {**LOGIN, "login_hint": "899999999999"})
    assert await ends_in(api, path, token) == (422, "psc.login_hint")


async def test_a_refusal_is_told_in_the_editor_s_words(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api)
    await rings(editor)
    editor.answer(ALICE, 400, "channel value is invalid")
    assert await ends_in(api, path, token) == (502, "psc.request_refused")


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (401, "400 - access_denied : The end-user denied", (403, "psc.denied")),
        (401, "400 - expired_token : SIMULATION", (403, "psc.expired")),
        (401, "401 - invalid_client : access_denied_not", (502, "psc.client_refused")),
        (403, "", (502, "psc.client_refused")),
        (304, "", (502, "psc.garbled")),
        (302, "", (502, "psc.garbled")),
    ],
)
async def test_what_psc_said_is_told_as_such(
    api: Workbench, editor: ProxyLps, status: int, message: str, expected: tuple[int, str]
) -> None:
    path, token = await pending(api)
    await rings(editor)
    editor.answer(ALICE, status, message)
    assert await ends_in(api, path, token) == expected
    assert api.ecps.all() == []


async def test_an_identity_that_the_editor_does_not_serve_is_not_taken_for_an_unknown_person(
    editor: ProxyLps, tmp_path: Path
) -> None:
    api = workbench_at(editor, tmp_path, proxy_identity="elsewhere")
    await api.start()
    path, token = await pending(api)
    await rings(editor)
    editor.approve(ALICE)
    assert await ends_in(api, path, token) == (502, "psc.request_refused")
    await eventually(lambda: editor.ended == [ALICE])  # nobody has the login, so it is ended there too
    await api.stop()


async def test_nobody_who_answers_in_time_is_told_as_such(editor: ProxyLps, tmp_path: Path) -> None:
    api = workbench_at(editor, tmp_path, proxy_timeout=0.3)
    await api.start()
    assert await ends_in(api, *await pending(api)) == (403, "psc.expired")
    await api.stop()


async def test_a_server_that_is_away_is_told(api: Workbench, editor: ProxyLps) -> None:
    editor.fault = web.Response(status=503)
    assert await ends_in(api, *await pending(api)) == (503, "psc.unavailable")


async def test_a_server_that_is_not_reached_uses_up_none_of_the_person_s_pushes(
    editor: ProxyLps, tmp_path: Path
) -> None:
    api = workbench_at(editor, tmp_path, proxy=f"https://localhost:{free_port()}")
    await api.start()
    for _ in range(api.ecps.limits.pushes_to_person + 1):
        assert await ends_in(api, *await pending(api)) == (503, "psc.unavailable")
    await api.stop()


@pytest.mark.parametrize("told", [{"session_state": "SIMULATION"}, {"proxy_session_id": "a\tb"}], ids=["none", "a tab"])
async def test_a_session_without_a_cookie_is_none(api: Workbench, editor: ProxyLps, told: dict[str, str]) -> None:
    editor.fault = web.json_response(told)
    assert await ends_in(api, *await pending(api)) == (502, "psc.garbled")


async def test_somebody_else_s_identity_is_no_session(api: Workbench, editor: ProxyLps) -> None:
    path, token = await pending(api)
    await rings(editor)
    editor.approve(ALICE)
    editor.mix_up(editor.cookies[0], "899700000001")
    assert await ends_in(api, path, token) == (403, "psc.other_person")


async def test_the_browser_is_no_way_there(api: Workbench) -> None:
    got = await api.call("POST", "/v1/sessions", {**LOGIN, "flow": "browser"}, bearer=await pair(api))
    assert (got.status, got.code) == (422, "psc.flow_unavailable")


async def test_an_approved_program_gets_the_cookie_to_call_the_editor_s_server_with(
    api: Workbench, editor: ProxyLps
) -> None:
    path, token = await pending(api, LOGIN, await pair(api, permissions=["psc_token"]))
    await rings(editor)
    editor.approve(ALICE)
    await ends_in(api, path, token)
    other = await api.call("POST", f"{path}/psc-token", {"api": "dmp"}, bearer=token)
    assert (other.status, other.json["code"]) == (422, "psc.api_unknown")
    got = await api.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert (got.text("token_type"), got.text("access_token")) == ("proxy_session_id", editor.cookies[0])
    assert "expires_at" not in got.json


async def agreed(api: Workbench, editor: ProxyLps, secret: str | None = None) -> tuple[str, str]:
    path, token = await pending(api, LOGIN, secret)
    await rings(editor)
    editor.approve(ALICE)
    assert await ends_in(api, path, token) == (200, "active")
    return path, token


async def test_a_session_that_the_editor_s_server_has_already_is_one_once_the_person_says_so(
    api: Workbench, editor: ProxyLps
) -> None:
    editor.keeps_sessions = True
    secret = await pair(api)
    first = await agreed(api, editor, secret)
    path, token = await pending(api, LOGIN, secret)
    await eventually(lambda: "ecps_active" in api.person.open)
    assert api.person.questions[-1].params == {"client": "LPS de test", "national_id": ALICE}
    api.person.attentive.set()
    assert await ends_in(api, path, token) == (200, "active")
    assert len(editor.asked) == 2
    assert (await api.call("DELETE", path, bearer=token)).status == 204
    await asyncio.sleep(0.1)
    assert editor.ended == []  # the first session is the same one there
    assert (await api.call("DELETE", first[0], bearer=first[1])).status == 204
    await eventually(lambda: editor.ended == [ALICE])


async def test_whoever_refuses_it_has_no_session_and_the_other_one_lives_on(api: Workbench, editor: ProxyLps) -> None:
    editor.keeps_sessions = True
    secret = await pair(api)
    await agreed(api, editor, secret)
    path, token = await pending(api, LOGIN, secret)
    await eventually(lambda: "ecps_active" in api.person.open)
    api.person.choice = Choice.NO
    api.person.attentive.set()
    assert await ends_in(api, path, token) == (403, "consent.refused")
    assert editor.ended == []


async def test_a_session_that_nobody_agreed_to_here_is_ended_there_and_the_mobile_is_asked(
    api: Workbench, editor: ProxyLps
) -> None:
    editor.keeps_sessions = True
    other = editor.open_elsewhere(ALICE)
    path, token = await pending(api)
    await rings(editor)
    assert (editor.ended, other in editor.cookies) == ([ALICE], False)
    editor.approve(ALICE)
    assert await ends_in(api, path, token) == (200, "active")


async def test_another_user_of_the_machine_gets_nothing_of_a_session_that_is_open_here(
    api: Workbench, editor: ProxyLps
) -> None:
    editor.keeps_sessions = True
    await agreed(api, editor)
    api.turn_to(os.getuid() + 1)
    path, token = await pending(api)
    assert await ends_in(api, path, token) == (409, "psc.session_elsewhere")
    assert editor.ended == []


async def test_people_of_an_editor_s_server_on_this_machine_are_fictitious(api: Workbench, editor: ProxyLps) -> None:
    path, token = await agreed(api, editor)
    assert (await api.call("GET", path, bearer=token)).json["identity"]["is_test"] is True  # type: ignore[index]
