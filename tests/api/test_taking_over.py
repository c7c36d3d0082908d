"""A card that one user opened is in use for the others, who take it over with its PIN and in no other way."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from tests.api.test_events import stream
from tests.api.test_stopping import SIGN
from tests.api.workbench import PIN, Workbench
from tests.rig.waiting import eventually

DOCTOR, OTHER = 1000, 1001
NEW = "2580"
LOGIN = {"method": "cpx"}


class Left(NamedTuple):
    """A session, and the secret of the program that opened it."""

    path: str
    token: str
    secret: str


@pytest.fixture
async def left(api: Workbench) -> Left:
    """The doctor's session, with her screen given to somebody else, who calls next."""
    api.seat(DOCTOR)
    api.turn_to(DOCTOR)
    secret = await api.pair()
    path, token = await api.login(secret)
    api.seat(OTHER)
    api.turn_to(OTHER)
    return Left(path, token, secret)


async def in_use(api: Workbench) -> object:
    cards = (await api.call("GET", "/v1/cards", via="unix")).json["cards"]
    assert isinstance(cards, list)
    return cards[0].get("in_use")


async def test_the_other_user_sees_that_the_card_is_in_use_and_nothing_of_the_session(
    api: Workbench, left: Left
) -> None:
    assert await in_use(api) == "another_user"
    assert (await api.call("GET", "/v1/sessions", via="unix")).json == {"sessions": []}
    api.turn_to(DOCTOR)
    assert await in_use(api) is None


async def test_the_pin_takes_it_over_and_the_first_user_is_told_why_their_session_ended(
    api: Workbench, left: Left
) -> None:
    path, token, secret = left
    api.turn_to(DOCTOR)
    async with stream(api, via="v4", Authorization=f"Bearer {secret}") as told, asyncio.timeout(10):
        assert (await told())[0] == "hello"
        mine, opened = await api.login(await _paired(api, OTHER, PIN))
        assert "takes_over" in api.person.pin_questions[-1].question.params
        assert (await told())[1]["reason"] == "taken_over"
    assert (await api.call("POST", f"{mine}/signatures", SIGN, bearer=opened)).status == 200
    assert await in_use(api) is None
    api.turn_to(DOCTOR)
    ended = await api.call("POST", f"{path}/signatures", SIGN, bearer=token, headers={"Accept-Language": "en"})
    assert (ended.status, ended.code) == (401, "session.closed")
    assert "another user of this machine took the card over" in ended.text("detail")
    assert (await api.call("GET", "/v1/cards", via="unix")).code == "reader.not_yours"
    rows = [row.uid for row in api.audit.entries if row.action == "session.take_over"]
    assert rows == [DOCTOR]


@pytest.mark.parametrize("pins", [[], ["0000"]])
async def test_without_the_pin_the_first_user_goes_on(api: Workbench, left: Left, pins: list[str]) -> None:
    path, token, _ = left
    secret = await _paired(api, OTHER, *pins)
    assert (await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 403
    api.seat(DOCTOR)
    api.turn_to(DOCTOR)
    api.person.pins = [PIN]
    assert (await api.call("POST", f"{path}/signatures", SIGN, bearer=token)).status == 200
    assert not [row for row in api.audit.entries if row.action == "session.take_over"]


@pytest.mark.parametrize(("act", "code"), [("pin-changes", PIN), ("pin-unblocks", "12345678")])
async def test_a_new_pin_takes_it_over_and_each_of_its_dialogs_says_so(
    api: Workbench, left: Left, act: str, code: str
) -> None:
    path, token, _ = left
    api.person.pins = [code, NEW, NEW]
    assert (await api.call("POST", f"/v1/cards/{api.readers.cards()[0].id}/{act}", {}, via="unix")).status == 204
    assert ["takes_over" in asked.question.params for asked in api.person.pin_questions[-3:]] == [True] * 3
    api.turn_to(DOCTOR)
    ended = await api.call("POST", f"{path}/signatures", SIGN, bearer=token, headers={"Accept-Language": "en"})
    assert "another user of this machine took the card over" in ended.text("detail")
    await eventually(lambda: [row.uid for row in api.audit.entries if row.action == "session.take_over"] == [DOCTOR])


async def test_a_new_pin_drives_out_nobody_of_whom_its_dialogs_said_nothing(api: Workbench) -> None:
    api.parts.readers.owners.seated(frozenset({DOCTOR, OTHER}))  # two seats
    secret = await _paired(api, DOCTOR)
    api.turn_to(OTHER)
    api.person.attentive = thinks = asyncio.Event()
    changes = f"/v1/cards/{api.readers.cards()[0].id}/pin-changes"
    change = asyncio.create_task(api.call("POST", changes, {}, via="unix"))
    await eventually(lambda: api.person.open == ["pin_change"])
    api.turn_to(DOCTOR)
    api.person.attentive = at_once = asyncio.Event()
    at_once.set()
    api.person.pins = [PIN]
    assert (await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 201
    api.person.pins = [PIN, NEW, NEW]
    thinks.set()
    answer = await change
    assert (answer.status, answer.code) == (409, "card.in_use")
    assert [session.caller.peer.uid for session in api.sessions.every()] == [DOCTOR]
    assert api.audit.acts()[-1] == "pin.change failed"


async def test_of_two_who_were_told_that_the_card_is_free_one_gets_it_and_the_other_asks_again(
    api: Workbench,
) -> None:
    api.parts.readers.owners.seated(frozenset({DOCTOR, OTHER}))  # two seats
    secrets = {uid: await _paired(api, uid) for uid in (DOCTOR, OTHER)}
    api.person.attentive.clear()
    api.person.pins = [PIN, PIN]
    logins = []
    for uid, secret in secrets.items():
        api.turn_to(uid)
        logins.append(asyncio.create_task(api.call("POST", "/v1/sessions", LOGIN, bearer=secret)))
        await eventually(lambda: len(api.person.open) == len(logins))
    api.person.attentive.set()
    answers = [await login for login in logins]
    assert sorted(answer.status for answer in answers) == [201, 409]
    [late] = [answer for answer in answers if answer.status == 409]
    assert late.code == "card.in_use"
    assert len(api.sessions.every()) == 1
    api.turn_to(DOCTOR if answers[0] is late else OTHER)
    api.person.pins = [PIN]
    again = await api.call("POST", "/v1/sessions", LOGIN, bearer=secrets[api.uid or 0])
    assert again.status == 201
    assert [session.caller.peer.uid for session in api.sessions.every()] == [api.uid]


async def test_programs_of_one_user_share_the_card(api: Workbench) -> None:
    api.seat(DOCTOR)
    api.turn_to(DOCTOR)
    for _ in range(2):
        api.person.pins = [PIN]
        await api.logged_in()
        assert "takes_over" not in api.person.pin_questions[-1].question.params
    assert len(api.sessions.every()) == 2


async def _paired(api: Workbench, uid: int, *pins: str) -> str:
    """A program of this user's, who calls next and has these PINs to type."""
    api.turn_to(uid)
    secret = await api.pair()
    api.person.pins = list(pins)
    return secret
