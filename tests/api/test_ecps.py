"""Sessions by mobile, with node's oidc-provider as Pro Santé Connect."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cardd.core.events import Subscription
from cardd.errors import SessionUnknown
from cardd.model import CallerKey, Choice, Event
from cardd.request import Where
from tests.api.ecps import LOGIN, ends_in, pair, pending, tokens_of
from tests.api.workbench import PAGE, Workbench
from tests.rig.memory import RunningClock
from tests.rig.oidc.people import ALICE, BOB, CLAIRE
from tests.rig.oidc.provider import PscRig
from tests.rig.page_keys import BrowserKey
from tests.rig.waiting import eventually


async def test_agreed_on_the_mobile_it_is_a_session_of_that_person(ecps: Workbench, psc: PscRig) -> None:
    steps = ecps.parts.trace.follow(CallerKey(0, "support"))
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")
    got = await ecps.call("GET", path, bearer=token)
    assert got.text("identity", "national_id") == ALICE
    steps.end()
    told = [event async for event in _until_the_end(steps)]
    [login] = [event.data["request"] for event in told if event.data.get("name") == "POST /v1/sessions"]
    ours = [event for event in told if event.data.get("request") == login]
    assert [event.data["does"] for event in ours if event.type == "ecps"] == ["begin", "wait"]
    assert {event.data["status"] for event in ours if event.type == "http"} <= {200, 400}  # 400: not yet
    assert ALICE not in str([event.data for event in told])
    assert ecps.parts.observer.counts.seconds[Where.NETWORK] > 0
    assert ecps.parts.observer.counts.logins["ecps", "done"] == 1
    assert got.text("identity", "family_name") == "SIMULATION"
    assert got.json["card"] is None
    assert ecps.audit.acts()[-1] == "session.open done"
    assert ecps.audit.entries[-1].document == f"person:{ALICE}"


async def _until_the_end(steps: Subscription) -> AsyncIterator[Event]:
    while event := await steps.next():
        yield event


async def test_the_dialog_shows_the_digits_of_the_answer(ecps: Workbench) -> None:
    path, token = await pending(ecps)
    got = await ecps.call("GET", path, bearer=token)
    await eventually(lambda: "ecps" in ecps.person.topics())
    [shown] = [question for question in ecps.person.questions if question.topic == "ecps"]
    assert shown.params["digits"] == got.text("binding_message")


async def test_refused_in_the_dialog_it_is_no_session(ecps: Workbench) -> None:
    ecps.person.choices = [Choice.YES, Choice.NO]  # the pairing, then the digits
    path, token = await pending(ecps)
    ecps.person.attentive.set()
    assert await ends_in(ecps, path, token) == (403, "consent.refused")


async def test_cancelled_by_the_program_nothing_is_asked_any_more(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    assert (await ecps.call("DELETE", path, bearer=token)).status == 204
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (401, "session.closed")


async def test_while_it_waits_it_can_do_nothing(ecps: Workbench) -> None:
    path, token = await pending(ecps)
    body = {"document_name": "cr.pdf", "document": "U0lNVUxBVElPTg=="}
    got = await ecps.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code, got.json["retryable"]) == (409, "session.pending", True)


async def test_an_ecps_session_signs_nothing_and_says_what_does(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    body = {"document_name": "cr.pdf", "document": "U0lNVUxBVElPTg=="}
    got = await ecps.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code) == (409, "session.cannot_sign")
    assert got.text("remedy")


async def test_the_push_is_sent_again_with_new_digits(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.push_pause = 0
    path, token = await pending(ecps)
    before = len(await psc.requests())
    got = await ecps.call("POST", f"{path}/pushes", {}, bearer=token)
    assert (got.status, got.text("state")) == (200, "pending")
    assert len(await psc.requests()) == before + 1
    assert (await psc.requests())[-1]["binding_message"] == got.text("binding_message")
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")


async def test_the_push_is_sent_again_from_the_dialog(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.push_pause = 0
    ecps.person.choices = [Choice.YES, Choice.AGAIN]  # the pairing, then the digits
    path, token = await pending(ecps)
    before = len(await psc.requests())
    ecps.person.attentive.set()
    await eventually(lambda: ecps.person.topics().count("ecps") == 2)
    assert len(await psc.requests()) == before + 1
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")


async def test_a_second_push_at_once_is_refused_with_the_time_to_wait(ecps: Workbench) -> None:
    path, token = await pending(ecps)
    got = await ecps.call("POST", f"{path}/pushes", {}, bearer=token)
    assert (got.status, got.code) == (429, "session.push_too_soon")
    assert 0 < int(got.headers["Retry-After"]) <= 10


async def test_a_program_cannot_wake_the_mobile_again_and_again_by_new_logins(ecps: Workbench, psc: PscRig) -> None:
    secret = await pair(ecps)
    path, token = await pending(ecps, secret=secret)
    before = len(await psc.requests())
    await ecps.call("DELETE", path, bearer=token)
    got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (got.status, got.code) == (429, "session.push_too_soon")
    assert len(await psc.requests()) == before
    await pending(ecps, {**LOGIN, "login_hint": BOB}, secret)  # nobody else has to wait
    ecps.ecps.limits.push_pause = 0  # the time is over
    await pending(ecps, secret=secret)


async def test_a_person_who_does_not_agree_is_asked_three_times_in_five_minutes_whichever_program_asks(
    ecps: Workbench, psc: PscRig
) -> None:
    ecps.ecps.limits.push_pause = 0
    first, second = await pair(ecps), await pair(ecps, software_id="another")
    before = len(await psc.requests())
    path, token = await pending(ecps, secret=first)
    assert (await ecps.call("POST", f"{path}/pushes", {}, bearer=token)).status == 200
    await ecps.call("DELETE", path, bearer=token)
    await pending(ecps, secret=second)
    for secret in (first, second):
        got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=secret)
        assert (got.status, got.code, got.json["reason"]) == (429, "session.push_too_soon", "person")
        assert 240 < int(got.headers["Retry-After"]) <= 300
        assert "3 fois" in got.text("detail")
    assert len(await psc.requests()) == before + 3
    await pending(ecps, {**LOGIN, "login_hint": BOB}, first)
    ecps.ecps.limits.push_window = 0  # the minutes are over
    await pending(ecps, secret=first)


async def test_another_user_s_programs_use_up_nothing_of_what_a_person_s_own_may_ask(ecps: Workbench) -> None:
    ecps.ecps.limits.push_pause = 0
    ecps.uid = 4321
    ecps.forget_connections()
    theirs = await pair(ecps)
    for _ in range(3):
        await pending(ecps, secret=theirs)
    ecps.uid = os.getuid()
    ecps.forget_connections()
    await pending(ecps, secret=await pair(ecps))


async def test_a_program_wakes_six_people_in_five_minutes_who_do_not_agree(ecps: Workbench, psc: PscRig) -> None:
    secret = await pair(ecps)
    before = len(await psc.requests())
    people = [str(899700000005 + number) for number in range(64)]
    ecps.ecps.limits.pushes_by_program = 2
    logins = [ecps.call("POST", "/v1/sessions", {**LOGIN, "login_hint": one}, bearer=secret) for one in (ALICE, BOB)]
    assert [got.status for got in await asyncio.gather(*logins)] == [202, 202]
    logins = [ecps.call("POST", "/v1/sessions", {**LOGIN, "login_hint": one}, bearer=secret) for one in people[2:]]
    refused = await asyncio.gather(*logins)
    assert {(got.status, got.code, got.text("reason")) for got in refused} == {
        (429, "session.push_too_soon", "program")
    }
    assert len(await psc.requests()) == before + 2
    await pending(ecps, secret=await pair(ecps, software_id="another"), login={**LOGIN, "login_hint": CLAIRE})


async def test_who_agreed_may_be_asked_again_at_once(ecps: Workbench, psc: PscRig) -> None:
    secret = await pair(ecps)
    path, token = await pending(ecps, secret=secret)
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")
    await pending(ecps, secret=secret)


async def test_a_program_opens_a_limited_number_of_sessions(ecps: Workbench) -> None:
    ecps.ecps.limits.sessions = 1
    secret = await pair(ecps)
    await pending(ecps, secret=secret)
    got = await ecps.call("POST", "/v1/sessions", {**LOGIN, "login_hint": BOB}, bearer=secret)
    assert (got.status, got.code) == (429, "request.too_many")


async def test_an_open_session_has_no_push_to_send(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    got = await ecps.call("POST", f"{path}/pushes", {}, bearer=token)
    assert (got.status, got.code) == (422, "psc.flow_unavailable")


async def test_psc_gets_the_channel_that_was_asked_for(ecps: Workbench, psc: PscRig) -> None:
    await pending(ecps, {**LOGIN, "channel": "mobile"})
    assert (await psc.requests())[-1]["channel"] == "MOBILE"


async def test_the_national_id_is_kept_when_the_user_agrees_and_then_left_out(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps, {**LOGIN, "remember_login_hint": True})
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    ecps.person.attentive.set()
    await eventually(lambda: ecps.ecps.hints.of(os.getuid()) == ALICE)
    ecps.person.attentive.clear()
    again, _ = await pending(ecps, {"method": "ecps"})
    assert again != path
    assert (await psc.requests())[-1]["login_hint"] == ALICE
    assert (await ecps.call("DELETE", "/v1/login-hint", via="unix")).status == 204
    assert ecps.ecps.hints.of(os.getuid()) is None


async def test_the_national_id_is_not_kept_when_the_user_refuses(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps, {**LOGIN, "remember_login_hint": True})
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    ecps.person.choice = Choice.NO
    ecps.person.attentive.set()
    await eventually(lambda: "remember_hint" in ecps.person.topics())
    assert ecps.ecps.hints.of(os.getuid()) is None


async def test_a_wrong_client_secret_is_told_without_it(ecps: Workbench) -> None:
    ecps.secrets.values["psc-client-secret"] = b"perdu SIMULATION"
    ecps.person.attentive.set()
    got = await ecps.call("POST", "/v1/sessions", LOGIN, bearer=await ecps.pair())
    assert got.code == "psc.client_refused"
    assert b"perdu" not in got.raw


async def test_two_people_log_in_side_by_side(ecps: Workbench, psc: PscRig) -> None:
    first = await pending(ecps)
    second = await pending(ecps, {"method": "ecps", "login_hint": BOB})
    await psc.approve(BOB)
    assert await ends_in(ecps, *second) == (200, "active")
    await psc.deny(ALICE)
    assert await ends_in(ecps, *first) == (403, "psc.denied")


async def test_no_token_of_the_provider_is_in_audit_or_answer(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    got = await ecps.call("GET", path, bearer=token)
    tokens = tokens_of(ecps)
    for secret in (tokens.access, tokens.refresh, tokens.id_token):
        assert secret is not None
        assert secret.reveal().encode() not in got.raw
        assert secret.reveal() not in repr(ecps.audit.entries)


async def test_the_tokens_of_a_session_are_renewed_before_they_end(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.renewal_margin = 1e6  # every token ends soon
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    first = tokens_of(ecps)
    await eventually(lambda: tokens_of(ecps).access != first.access)
    assert await ends_in(ecps, path, token) == (200, "active")


async def test_the_next_daemon_resumes_it_for_the_same_user_only(ecps: Workbench, psc: PscRig, tmp_path: Path) -> None:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    await eventually(lambda: any(name.startswith("ecps-") for name in ecps.secrets.values))
    ecps.sessions.close_where(lambda _: True, "daemon_stopped")
    second = Workbench(tmp_path / "second", ecps.config, clock=RunningClock(), store=ecps.store, secrets=ecps.secrets)
    (tmp_path / "second").mkdir()
    await second.start()
    assert await ends_in(second, path, token) == (200, "active")
    got = await second.call("GET", path, bearer=token)
    assert got.text("identity", "national_id") == ALICE
    with pytest.raises(SessionUnknown):
        second.sessions.authenticate(token, None, os.getuid() + 1)
    assert (await second.call("DELETE", path, bearer=token)).status == 204
    await eventually(lambda: not any(name.startswith("ecps-") for name in second.secrets.values))
    await second.stop()


async def test_a_pages_session_is_resumed_for_the_browser_that_opened_it(
    ecps: Workbench, psc: PscRig, tmp_path: Path
) -> None:
    page = {"Origin": PAGE}
    opened = await ecps.call("POST", "/v1/sessions", LOGIN, headers=page)
    path, token = opened.headers["Location"], opened.text("token")
    await psc.approve(ALICE)
    await eventually(lambda: any(name.startswith("ecps-") for name in ecps.secrets.values))
    ecps.sessions.close_where(lambda _: True, "daemon_stopped")
    second = Workbench(tmp_path / "second", ecps.config, clock=RunningClock(), store=ecps.store, secrets=ecps.secrets)
    (tmp_path / "second").mkdir()
    await second.start()
    second.key = ecps.key
    await eventually(lambda: any(session.pending is None for session in second.sessions.of(os.getuid())))
    assert (await second.enter(PAGE, BrowserKey())).status == 201
    assert (await second.call("GET", path, bearer=token, headers=page)).code == "page.proof_needed"
    assert (await second.enter(PAGE)).status == 201
    assert (await second.call("GET", path, bearer=token, headers=page)).json["state"] == "active"
    await second.stop()


async def test_one_that_was_closed_is_not_resumed(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    await ecps.call("DELETE", path, bearer=token)
    await eventually(lambda: not any(name.startswith("ecps-") for name in ecps.secrets.values))
    await ecps.ecps.start()
    await ecps.ecps.watch()
    assert ecps.sessions.of(os.getuid()) == []


async def test_no_refresh_token_lies_in_the_state_directory(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    await eventually(lambda: "ecps-sessions" in ecps.store.documents)
    refresh = tokens_of(ecps).refresh
    assert refresh
    assert not any(refresh.reveal() in text for text in ecps.store.documents.values())
    assert not any(token in text for text in ecps.store.documents.values())


async def test_without_a_national_id_at_all_the_field_is_named(ecps: Workbench) -> None:
    ecps.person.attentive.set()
    got = await ecps.call("POST", "/v1/sessions", {"method": "ecps"}, bearer=await ecps.pair())
    assert (got.status, got.code, got.text("where")) == (422, "request.invalid", "$.login_hint")


async def test_without_a_provider_the_method_says_so(api: Workbench) -> None:
    got = await api.call("POST", "/v1/sessions", LOGIN, bearer=await api.pair())
    assert (got.status, got.code) == (422, "session.method_unavailable")
    listed = await api.call("GET", "/v1/methods", via="unix")
    assert listed.json["methods"][2]["usable"] is False  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**LOGIN, "card": "ask"}, "$.card"),
        ({"method": "cpx", "login_hint": ALICE}, "$.login_hint"),
        ({"method": "cpx", "flow": "browser"}, "$.flow"),
    ],
)
async def test_a_login_with_the_wrong_fields_names_them(api: Workbench, body: object, where: str) -> None:
    got = await api.call("POST", "/v1/sessions", body, bearer=await api.pair())
    assert (got.status, got.code, got.text("where")) == (422, "request.invalid", where)
