"""Which exercice and activity of a professional a session stands for, where PSC tells of several."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd.model import Choice
from tests.api.ecps import ends_in, pending, workbench_at
from tests.api.workbench import Workbench
from tests.rig.oidc.people import ALICE, BOB
from tests.rig.oidc.provider import PscRig
from tests.rig.waiting import eventually

SEVERAL: dict[str, object] = {"method": "ecps", "login_hint": BOB}


async def opened(api: Workbench, psc: PscRig, login: dict[str, object], who: str) -> tuple[str, str]:
    path, token = await pending(api, login)
    await psc.approve(who)
    return path, token


async def test_the_only_situation_is_the_session_s(ecps: Workbench, psc: PscRig) -> None:
    path, token = await opened(ecps, psc, {"method": "ecps", "login_hint": ALICE}, ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")
    got = await ecps.call("GET", path, bearer=token)
    assert got.text("situation") == "1.1"
    assert got.text("situations", 0, "structure_name") == "CABINET SIMULATION"
    assert got.text("identity", "specialty") == "SM26"


async def test_of_several_none_is_taken_until_the_program_picks_one(ecps: Workbench, psc: PscRig) -> None:
    path, token = await opened(ecps, psc, SEVERAL, BOB)
    assert await ends_in(ecps, path, token) == (200, "active")
    got = await ecps.call("GET", path, bearer=token)
    assert [one["id"] for one in got.json["situations"]] == ["1.1", "1.2", "2.1"]  # type: ignore[attr-defined]
    assert "situation" not in got.json
    picked = await ecps.call("POST", f"{path}/situation", {"id": "2.1"}, bearer=token)
    assert (picked.text("situation"), picked.text("identity", "profession")) == ("2.1", "21")


async def test_the_program_may_name_one_when_it_logs_in(ecps: Workbench, psc: PscRig) -> None:
    path, token = await opened(ecps, psc, {**SEVERAL, "situation": "1.2"}, BOB)
    assert await ends_in(ecps, path, token) == (200, "active")
    got = await ecps.call("GET", path, bearer=token)
    assert (got.text("situation"), got.text("identity", "profession")) == ("1.2", "10")


async def test_the_user_picks_one_where_the_program_leaves_it_to_them(ecps: Workbench, psc: PscRig) -> None:
    ecps.person.choices = [Choice.YES, Choice.YES, Choice.ANOTHER, Choice.YES]  # pairing, digits, situations
    path, token = await opened(ecps, psc, {**SEVERAL, "situation": "ask"}, BOB)
    ecps.person.attentive.set()
    assert await ends_in(ecps, path, token) == (200, "active")
    got = await ecps.call("GET", path, bearer=token)
    assert got.text("situation") == "1.2"


async def test_a_user_who_takes_none_has_no_session(ecps: Workbench, psc: PscRig) -> None:
    ecps.person.choices = [Choice.YES, Choice.YES, Choice.NO]
    path, token = await opened(ecps, psc, {**SEVERAL, "situation": "ask"}, BOB)
    ecps.person.attentive.set()
    assert await ends_in(ecps, path, token) == (403, "consent.refused")
    assert ecps.ecps.all() == []


async def test_a_situation_that_the_person_does_not_have_is_no_session(ecps: Workbench, psc: PscRig) -> None:
    path, token = await opened(ecps, psc, {**SEVERAL, "situation": "9.9"}, BOB)
    assert await ends_in(ecps, path, token) == (422, "session.situation")
    assert ecps.audit.entries[-1].code == "session.situation"


@pytest.mark.parametrize("identifier", ["9.9", "1"])
async def test_an_unknown_situation_is_refused_with_those_that_exist(
    ecps: Workbench, psc: PscRig, identifier: str
) -> None:
    path, token = await opened(ecps, psc, SEVERAL, BOB)
    await ends_in(ecps, path, token)
    got = await ecps.call("POST", f"{path}/situation", {"id": identifier}, bearer=token)
    assert (got.status, got.code) == (422, "session.situation")
    assert "2.1" in got.text("detail")


async def test_a_resumed_session_has_the_situation_that_was_picked(
    ecps: Workbench, psc: PscRig, tmp_path: Path
) -> None:
    path, token = await opened(ecps, psc, SEVERAL, BOB)
    await ends_in(ecps, path, token)
    await eventually(lambda: "ecps-sessions" in ecps.store.documents)
    await ecps.call("POST", f"{path}/situation", {"id": "2.1"}, bearer=token)
    ecps.sessions.close_where(lambda _: True, "daemon_stopped")
    (tmp_path / "second").mkdir()
    second = workbench_at(psc, tmp_path / "second")
    second.secrets.values, second.store.documents = ecps.secrets.values, ecps.store.documents
    await second.start()
    assert await ends_in(second, path, token) == (200, "active")
    got = await second.call("GET", path, bearer=token)
    assert (got.text("situation"), got.text("identity", "profession")) == ("2.1", "21")
    await second.stop()


async def test_a_login_goes_from_pending_to_agreed_to_open_to_over(ecps: Workbench, psc: PscRig) -> None:
    ecps.person.choices = [Choice.YES, Choice.YES, Choice.YES]
    path, token = await pending(ecps, {**SEVERAL, "situation": "ask"})
    [login] = ecps.ecps.all()
    states = [login.state]
    await psc.approve(BOB)
    await eventually(lambda: "situation" in ecps.person.topics())
    states.append(login.state)
    ecps.person.attentive.set()
    await ends_in(ecps, path, token)
    states.append(login.state)
    await ecps.call("DELETE", path, bearer=token)
    assert [*states, login.state] == ["pending", "agreed", "open", "over"]
    assert ecps.ecps.all() == []


async def test_once_agreed_the_digits_are_gone_while_the_user_picks(ecps: Workbench, psc: PscRig) -> None:
    ecps.person.choices = [Choice.YES, Choice.YES, Choice.YES]
    path, token = await opened(ecps, psc, {**SEVERAL, "situation": "ask"}, BOB)
    await eventually(lambda: "situation" in ecps.person.topics())
    got = await ecps.call("GET", path, bearer=token)
    assert (got.text("state"), "binding_message" in got.json, "expires_at" in got.json) == ("pending", False, True)
    ecps.person.attentive.set()
    assert await ends_in(ecps, path, token) == (200, "active")
