"""Sessions: one caller, one OS user, one card; rules 6 and 7."""

from __future__ import annotations

import asyncio

import pytest

from cardd.errors import PromptUnavailable
from cardd.model import Choice
from tests.api.workbench import PAGE, PAGE_WITH_PORT, PIN, SOFTWARE, Workbench
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually

LOGIN = {"method": "cpx"}
NATIONAL_ID = "899000000010"  # the simulated card's
SIGNATURE = {"document_name": "Ordonnance", "document": "b3Jkb25uYW5jZQ=="}


async def test_login_gives_a_session_with_the_holders_identity(api: Workbench) -> None:
    secret = await api.pair()
    got = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert got.status == 201
    assert got.headers["Location"] == f"/v1/sessions/{got.text('id')}"
    assert got.json["state"] == "active"
    assert got.text("identity", "family_name").startswith("SIMULATION")
    shown = await api.call("GET", got.headers["Location"], bearer=got.text("token"))
    assert shown.json == {key: value for key, value in got.json.items() if key != "token"}


async def test_a_page_logs_in_with_its_origin_and_its_token_is_for_its_origin_only(api: Workbench) -> None:
    got = await api.call("POST", "/v1/sessions", LOGIN, headers={"Origin": PAGE})
    path, token = got.headers["Location"], got.text("token")
    assert (await api.call("GET", path, bearer=token, headers={"Origin": PAGE})).status == 200
    others: tuple[dict[str, str], ...] = ({}, {"Origin": PAGE_WITH_PORT})
    for headers in others:
        assert (await api.call("GET", path, bearer=token, headers=headers)).code == "session.unknown"
    assert (await api.call("GET", path, bearer=token, via="unix")).code == "session.unknown"


async def test_a_programs_token_is_worthless_in_a_page(api: Workbench) -> None:
    path, token = await api.logged_in()
    assert (await api.call("GET", path, bearer=token, headers={"Origin": PAGE})).code == "session.unknown"
    assert (await api.call("GET", path, bearer=token, via="v6")).status == 200
    assert (await api.call("GET", path, bearer=token, via="unix")).status == 200


async def test_a_token_is_worthless_to_another_user_and_for_another_session(api: Workbench) -> None:
    api.person.pins = [PIN, PIN]
    secret = await api.pair()
    one, token = await api.login(secret)
    two, _ = await api.login(secret)
    for path, bearer in ((two, token), (f"{one}x", token), (one, None), (one, secret), (one, "wrong")):
        got = await api.call("GET", path, bearer=bearer)
        assert (got.status, got.code) == (401, "session.unknown")
    assert (await api.call("POST", f"{two}/signatures", SIGNATURE, bearer=token)).code == "session.unknown"
    api.uid = 54321
    api.forget_connections()
    for via in ("v4", "v6", "unix"):
        assert (await api.call("GET", one, bearer=token, via=via)).code == "session.unknown"
        assert (await api.call("DELETE", one, bearer=token, via=via)).code == "session.unknown"


async def test_logout_closes_the_session_and_de_authenticates_the_card(api: Workbench) -> None:
    path, token = await api.logged_in()
    resets = api.card.resets
    assert (await api.call("DELETE", path, bearer=token)).status == 204
    assert api.card.resets == resets + 1
    got = await api.call("GET", path, bearer=token)
    assert (got.status, got.code) == (401, "session.closed")
    assert (await api.call("DELETE", path, bearer=token)).code == "session.closed"


async def test_cardctl_sees_and_closes_the_sessions_of_its_own_user(api: Workbench) -> None:
    api.uid = 1000
    api.seat(1000)
    path, token = await api.logged_in()
    listed = await api.call("GET", "/v1/sessions", via="unix")
    assert f"/v1/sessions/{listed.text('sessions', 0, 'id')}" == path
    assert token.encode() not in listed.raw
    api.uid = 1001
    api.forget_connections()
    assert (await api.call("GET", "/v1/sessions", via="unix")).json == {"sessions": []}
    assert (await api.call("DELETE", path, via="unix")).code == "session.unknown"
    api.uid = 1000
    api.forget_connections()
    assert (await api.call("DELETE", path)).code == "session.unknown"  # without token, not over TCP
    assert (await api.call("DELETE", path, via="unix")).status == 204
    assert (await api.call("GET", path, bearer=token)).code == "session.closed"


async def test_an_unpaired_program_of_the_same_user_learns_of_no_session_whom_it_stands_for(api: Workbench) -> None:
    await api.logged_in()
    listed = await api.call("GET", "/v1/sessions", via="unix")
    assert listed.text("sessions", 0, "client") == SOFTWARE["name"]
    assert listed.text("sessions", 0, "identity", "national_id") == ""
    assert NATIONAL_ID.encode() not in listed.raw
    assert b"SIMULATION" not in listed.raw


async def test_a_paired_program_learns_whom_its_own_sessions_stand_for_and_no_others(api: Workbench) -> None:
    owner, other = await api.pair(), await api.pair()
    await api.login(owner)
    for secret, shown in ((owner, NATIONAL_ID), (other, "")):
        listed = await api.call("GET", "/v1/sessions", bearer=secret, via="unix")
        assert listed.text("sessions", 0, "identity", "national_id") == shown


async def test_a_program_sees_whom_all_sessions_stand_for_when_the_user_agreed_to_that_in_its_pairing(
    api: Workbench,
) -> None:
    await api.logged_in()
    secret = await api.pair(permissions=["sessions"])
    assert ["sessions" in question.params for question in api.person.questions] == [False, True]
    listed = await api.call("GET", "/v1/sessions", bearer=secret, via="unix")
    assert listed.text("sessions", 0, "identity", "national_id") == NATIONAL_ID
    api.uid = 54321
    api.forget_connections()
    assert (await api.call("GET", "/v1/sessions", bearer=secret, via="unix")).code == "client.unknown"


@pytest.mark.parametrize(
    ("language", "detail"),
    [
        ("fr", "La session est fermée\N{NARROW NO-BREAK SPACE}: la carte a été retirée."),
        ("en", "The session is closed: the card was taken out."),
    ],
)
async def test_why_a_session_ended_is_told_in_words_and_by_its_name(api: Workbench, language: str, detail: str) -> None:
    path, token = await api.logged_in()
    api.readers.card_removed("Lecteur A")  # what the monitor posts to the loop, and nothing after it
    for method, place, body in (("GET", path, None), ("POST", f"{path}/signatures", SIGNATURE)):
        got = await api.call(method, place, body, bearer=token, headers={"Accept-Language": language})
        assert (got.status, got.code) == (401, "session.closed")
        assert (got.text("detail"), got.text("reason")) == (detail, "card_removed")


async def test_signing_keeps_a_session_alive_and_looking_at_it_does_not(api: Workbench) -> None:
    path, token = await api.logged_in()
    answers = []
    for method, place, body in (("POST", f"{path}/signatures", SIGNATURE), ("GET", path, None), ("GET", path, None)):
        api.clock.seconds += 1000
        answers.append(await api.call(method, place, body, bearer=token))
    assert [got.status for got in answers] == [200, 200, 401]
    assert (answers[-1].code, answers[-1].text("reason")) == ("session.expired", "idle")


async def two_cards(api: Workbench) -> list[str]:
    api.other_reader.insert(simulated_card("pharmacien"))
    await eventually(lambda: len(api.readers.cards()) == 2)
    return [card.id for card in api.readers.cards()]


async def test_of_two_cards_the_request_may_name_one(api: Workbench) -> None:
    secret = await api.pair()
    _, chosen = await two_cards(api)
    named = await api.call("POST", "/v1/sessions", {**LOGIN, "card": chosen}, bearer=secret)
    assert (named.status, named.json["card"]) == (201, chosen)
    assert "card" not in api.person.topics()


async def test_two_cards_and_none_named_are_listed(api: Workbench) -> None:
    secret = await api.pair()
    cards = await two_cards(api)
    got = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (got.status, got.code) == (409, "card.ambiguous")
    assert got.json["cards"] == cards
    assert api.person.pin_questions == []
    assert "card" not in api.person.topics()


async def test_of_two_cards_the_user_picks_where_the_request_wants_it(api: Workbench) -> None:
    secret = await api.pair()
    _, second = await two_cards(api)
    api.person.choices = [Choice.ANOTHER, Choice.YES]
    got = await api.call("POST", "/v1/sessions", {**LOGIN, "card": "ask"}, bearer=secret)
    assert (got.status, got.json["card"]) == (201, second)
    shown = [question.params for question in api.person.questions if question.topic == "card"]
    assert [(params["reader"], params["holder"]) for params in shown] == [
        ("Lecteur A", "CAMILLE SIMULATION-MEDECIN"),
        ("Lecteur B", "DOMINIQUE SIMULATION-PHARMACIEN"),
    ]


async def test_a_user_who_picks_neither_card_refuses_the_login(api: Workbench) -> None:
    secret = await api.pair()
    await two_cards(api)
    api.person.choices = [Choice.ANOTHER, Choice.ANOTHER, Choice.NO]
    got = await api.call("POST", "/v1/sessions", {**LOGIN, "card": "ask"}, bearer=secret)
    assert (got.status, got.code) == (403, "consent.refused")
    assert api.person.pin_questions == []


async def test_two_cards_are_listed_where_nobody_can_be_asked(api: Workbench) -> None:
    secret = await api.pair()
    cards = await two_cards(api)
    api.person.fault = PromptUnavailable(why="test")
    got = await api.call("POST", "/v1/sessions", {**LOGIN, "card": "ask"}, bearer=secret)
    assert (got.status, got.code) == (409, "card.ambiguous")
    assert got.json["cards"] == cards


async def test_no_card_and_an_unknown_card(api: Workbench) -> None:
    secret = await api.pair()
    unknown = await api.call("POST", "/v1/sessions", {**LOGIN, "card": "0123"}, bearer=secret)
    assert (unknown.status, unknown.code) == (404, "card.unknown")
    api.reader.remove()
    await eventually(lambda: not api.readers.cards())
    absent = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (absent.status, absent.code, absent.json["retryable"]) == (409, "card.absent", True)


@pytest.mark.parametrize(
    ("pins", "code", "tries_left"), [(["9999"], "pin.wrong", 2), ([], "pin.cancelled", None)], ids=str
)
async def test_a_login_without_the_right_pin_is_forbidden(
    api: Workbench, pins: list[str], code: str, tries_left: int | None
) -> None:
    secret = await api.pair()
    api.person.pins = pins
    got = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (got.status, got.code, got.json.get("tries_left")) == (403, code, tries_left)


async def test_a_blocked_pin_and_the_back_off_have_their_own_codes(api: Workbench) -> None:
    secret = await api.pair()
    api.person.pins = ["9999", "9998"]
    await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    waiting = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (waiting.status, waiting.code) == (429, "pin.back_off")
    assert int(waiting.headers["Retry-After"]) == waiting.json["retry_after"]
    api.clock.seconds += 100
    api.person.pins = ["9997"]
    last = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (last.code, api.person.topics()[-1]) == ("pin.blocked", "last_try")
    api.clock.seconds += 100
    blocked = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (blocked.status, blocked.code) == (403, "pin.blocked")


async def test_a_login_that_cannot_be_recorded_opens_nothing(api: Workbench) -> None:
    secret = await api.pair()
    api.audit.is_full = True
    got = await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (got.status, got.code) == (503, "audit.unavailable")
    assert (await api.call("GET", "/v1/sessions", via="unix")).json == {"sessions": []}


async def test_other_requests_are_answered_while_a_dialog_is_open(api: Workbench) -> None:
    secret = await api.pair()
    api.person.attentive.clear()
    api.person.is_asked.clear()
    opening = asyncio.ensure_future(api.call("POST", "/v1/sessions", LOGIN, bearer=secret))
    await api.person.is_asked.wait()
    assert (await api.call("GET", "/v1/cards", bearer=secret)).status == 200
    api.person.attentive.set()
    assert (await opening).status == 201
