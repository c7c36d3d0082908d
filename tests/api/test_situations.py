"""Situations of practice of a card's holder: read behind the PIN when they are wanted, picked once."""

from __future__ import annotations

from cardd.model import Choice
from tests.api.workbench import PIN, Workbench

CABINET = {"id": "1", "sector": "SA07", "structure": "499000000010001", "structure_name": "CABINET SIMULATION"}
CENTRE = {"id": "2", "sector": "SA05", "structure": "1990000002", "structure_name": "CENTRE DE SANTE SIMULATION"}


async def test_a_login_that_does_not_ask_reads_none(api: Workbench) -> None:
    path, token = await api.logged_in()
    got = await api.call("GET", path, bearer=token)
    assert "situations" not in got.json


async def test_the_user_picks_one_of_the_card_s_when_the_login_asks(api: Workbench) -> None:
    secret = await api.pair()
    api.person.choices = [Choice.ANOTHER, Choice.YES]
    got = await api.call("POST", "/v1/sessions", {"method": "cpx", "situation": "ask"}, bearer=secret)
    assert (got.status, got.json["situations"], got.text("situation")) == (201, [CABINET, CENTRE], "2")
    shown = [question.params["structure"] for question in api.person.questions if question.topic == "situation"]
    assert shown == ["CABINET SIMULATION", "CENTRE DE SANTE SIMULATION"]


async def test_the_program_may_pick_one_later(api: Workbench) -> None:
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/situation", {"id": "1"}, bearer=token)
    assert (got.status, got.text("situation"), got.text("identity", "profession")) == (200, "1", "10")


async def test_one_that_the_card_does_not_have_is_refused_with_those_that_it_has(api: Workbench) -> None:
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/situation", {"id": "9"}, bearer=token)
    assert (got.status, got.code) == (422, "session.situation")
    assert "1, 2" in got.text("detail")


async def test_who_takes_none_has_no_session(api: Workbench) -> None:
    secret = await api.pair()
    api.person.choices = [Choice.NO]
    got = await api.call("POST", "/v1/sessions", {"method": "cpx", "situation": "ask"}, bearer=secret)
    assert (got.status, got.code) == (403, "consent.refused")
    assert (await api.call("GET", "/v1/sessions", via="unix")).json["sessions"] == []


async def test_situations_are_read_once(api: Workbench) -> None:
    path, token = await api.logged_in()
    await api.call("POST", f"{path}/situation", {"id": "1"}, bearer=token)
    count = api.asked_of_card()
    await api.call("POST", f"{path}/situation", {"id": "2"}, bearer=token)
    assert api.asked_of_card() == count


async def test_a_locked_session_asks_for_the_pin_first(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.sessions.lock_where(lambda _: True)
    api.person.pins = [PIN]
    got = await api.call("POST", f"{path}/situation", {"id": "1"}, bearer=token)
    assert got.status == 200
    assert api.person.pins == []
