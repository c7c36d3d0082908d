"""Rule 12: the readers belong to whoever sits at the machine; others are refused before anything reaches a card."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cardd.config import Access, Config
from cardd.model import Choice
from tests.api.test_events import Next, hears_nothing, stream, websocket
from tests.api.workbench import PAGE, PAGE_USERS, PIN, SOFTWARE, Workbench
from tests.rig.memory import MemoryPeople
from tests.rig.waiting import eventually

DOCTOR, OTHER, COLLEAGUE = 1000, 1001, 1002
Started = Callable[[Workbench], Awaitable[Workbench]]


@pytest.fixture
def seated(api: Workbench) -> Workbench:
    """A workbench at which the doctor sits, and whose next connections are another user's."""
    api.seat(DOCTOR)
    api.turn_to(OTHER)
    return api


def card_of(api: Workbench) -> str:
    return f"/v1/cards/{api.readers.cards()[0].id}"


async def paired_as(api: Workbench, uid: int) -> str:
    """A program of this user's, whose requests come next."""
    api.turn_to(uid)
    return await api.pair()


async def tries(api: Workbench) -> tuple[int | None, int | None]:
    """How many PINs and PUKs are left, as the person's dialogs tell."""
    api.seat(DOCTOR)
    api.turn_to(DOCTOR)
    api.person.pins = []
    for act in ("pin-changes", "pin-unblocks"):
        assert (await api.call("POST", f"{card_of(api)}/{act}", {}, via="unix")).code == "pin.cancelled"
    pin, puk = api.person.pin_questions[-2:]
    return pin.tries_left, puk.tries_left


# --- what another user of the machine is refused ---


async def test_another_user_presents_no_pin_and_no_puk_to_the_doctors_card(seated: Workbench) -> None:
    api = seated
    sent = api.card.count
    api.person.pins = ["0000"] * 9
    for act in ("pin-changes", "pin-unblocks"):
        got = await api.call("POST", f"{card_of(api)}/{act}", {}, via="unix")
        assert (got.status, got.code) == (403, "reader.not_yours")
        assert got.text("remedy")
    assert api.person.pin_questions == []
    assert api.card.count == sent


@pytest.mark.parametrize("path", ["/v1/readers", "/v1/cards", "/v1/cards?pin=true"])
async def test_another_user_learns_of_no_reader_and_no_card(seated: Workbench, path: str) -> None:
    sent = seated.card.count
    for secret in (None, await seated.pair()):
        got = await seated.call("GET", path, bearer=secret, via="unix")
        assert (got.status, got.code) == (403, "reader.not_yours")
    assert seated.card.count == sent


async def test_another_users_programs_and_pages_log_in_with_no_card_and_read_no_certificate(seated: Workbench) -> None:
    api = seated
    secret, card, sent = await api.pair(), card_of(api), api.card.count
    api.person.choices = [Choice.YES] * 9
    dialogs = len(api.person.questions)
    for headers, bearer in (({}, secret), ({"Origin": PAGE}, None)):
        asked = [
            await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=bearer, headers=headers),
            await api.call("POST", "/v1/sessions", {"method": "cpx", "card": "ask"}, bearer=bearer, headers=headers),
            await api.call("GET", f"{card}/certificates", bearer=bearer, headers=headers),
            await api.call("GET", "/v1/cards/0000000000000000/certificates", bearer=bearer, headers=headers),
        ]
        assert [(got.status, got.code) for got in asked] == [(403, "reader.not_yours")] * 4
    assert (len(api.person.questions), api.person.pin_questions, api.card.count) == (dialogs, [], sent)


async def test_another_user_follows_no_trace(seated: Workbench) -> None:
    got = await seated.call("POST", "/v1/support/traces", {"full": False}, via="unix")
    assert (got.status, got.code) == (403, "reader.not_yours")


async def test_another_user_is_told_that_the_card_method_is_not_for_them(seated: Workbench) -> None:
    methods = await seated.call("GET", "/v1/methods", via="unix")
    assert methods.text("methods", 0, "method") == "cpx"
    assert methods.text("methods", 0, "problem") == "reader.not_yours"


async def test_another_user_hears_nothing_of_cards(seated: Workbench) -> None:
    api = seated
    async with stream(api) as others:
        kind, told = await others()
        assert (kind, told["readers"], told["cards"]) == ("hello", [], [])
        api.reader.remove()
        await eventually(lambda: not api.readers.cards())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await others()


async def test_every_stream_of_the_owners_hears_of_a_card_and_none_of_another_user(api: Workbench) -> None:
    owners, each = (DOCTOR, COLLEAGUE), 20
    api.seat(*owners)
    told: dict[int, list[Next]] = {}
    async with AsyncExitStack() as streams:
        for uid in (*owners, OTHER):
            api.turn_to(uid)
            opened = [websocket(api) if uid in PAGE_USERS else stream(api), *(stream(api) for _ in range(each))]
            told[uid] = [await streams.enter_async_context(one) for one in opened]
        assert {(await one())[0] for own in told.values() for one in own} == {"hello"}
        api.reader.remove()
        api.reader.insert(api.card)
        for uid in owners:
            for one in told[uid]:
                assert [(await one())[0] for _ in range(2)] == ["card.removed", "card.inserted"]
        assert all(await asyncio.gather(*map(hears_nothing, told[OTHER])))


async def test_each_refusal_is_counted_in_the_audit_log(seated: Workbench) -> None:
    for _ in range(3):
        await seated.call("GET", "/v1/cards", via="unix")
    [row] = seated.audit.entries
    assert (row.action, row.outcome, row.uid, row.code) == ("reader.use", "refused", OTHER, "reader.not_yours")


# --- who the readers belong to ---


async def test_who_sits_at_the_machine_has_the_cards(api: Workbench) -> None:
    api.seat(OTHER)
    api.turn_to(OTHER)
    await api.logged_in()
    assert (await api.call("GET", "/v1/cards?pin=true", via="unix")).status == 200


@pytest.mark.parametrize("uid", [0, os.geteuid()])
async def test_root_and_the_services_own_user_have_them_too(seated: Workbench, uid: int) -> None:
    seated.turn_to(uid)
    assert (await seated.call("GET", "/v1/cards?pin=true", via="unix")).status == 200


@pytest.mark.parametrize("owners", [("dr.martin",), ("1000",), ("*",)])
async def test_the_configuration_names_owners_who_do_not_sit_there(
    started: Started, tmp_path: Path, owners: tuple[str, ...]
) -> None:
    people = MemoryPeople({DOCTOR: "dr.martin", OTHER: "dr.martin.2"})
    api = await started(Workbench(tmp_path, Config(access=Access(owners=owners)), people=people))
    api.seat()
    statuses = []
    for uid in (DOCTOR, OTHER):
        api.turn_to(uid)
        statuses.append((await api.call("GET", "/v1/cards", via="unix")).status)
    assert statuses == [200, 200 if "*" in owners else 403]


async def test_a_number_in_the_configuration_is_no_name_of_anybody(started: Started, tmp_path: Path) -> None:
    people = MemoryPeople({OTHER: "1000"})
    api = await started(Workbench(tmp_path, Config(access=Access(owners=("1000",))), people=people))
    api.seat()
    api.turn_to(OTHER)
    assert (await api.call("GET", "/v1/cards", via="unix")).code == "reader.not_yours"


@pytest.mark.parametrize(("alone", "told"), [(DOCTOR, [200, 403]), (None, [403, 403])])
async def test_where_nobody_tells_who_sits_there_the_only_person_has_them(
    started: Started, tmp_path: Path, alone: int | None, told: list[int]
) -> None:
    api = await started(Workbench(tmp_path, people=MemoryPeople(alone=alone)))
    statuses = []
    for uid in (DOCTOR, OTHER):
        api.turn_to(uid)
        statuses.append((await api.call("GET", "/v1/cards", via="unix")).status)
    assert statuses == told


async def test_who_comes_as_thousands_of_users_gets_no_row_for_each(api: Workbench) -> None:
    api.seat(DOCTOR)
    before = len(api.audit.entries)
    for uid in range(100_000, 100_200):
        api.turn_to(uid)
        assert (await api.call("GET", "/v1/readers", via="unix")).code == "reader.not_yours"
    rows = [(entry.uid, entry.caller) for entry in api.audit.entries[before:]]
    assert rows == [*((uid, f"local:{uid}") for uid in range(100_000, 100_128)), (100_128, "local:*")]


async def test_a_request_waits_until_it_is_known_who_sits_there(started: Started, tmp_path: Path) -> None:
    people = MemoryPeople(alone=OTHER)  # who is not asked about where somebody will tell
    api = await started(Workbench(tmp_path, people=people, tells_who_sits_here=True))
    api.turn_to(DOCTOR)
    assert (await api.call("GET", "/v1/status")).status == 200
    asking = asyncio.ensure_future(api.call("GET", "/v1/cards", via="unix"))
    await asyncio.sleep(0.1)
    assert not asking.done()
    api.seat(DOCTOR)
    assert (await asking).status == 200


# --- when the users are switched ---


async def test_who_left_the_screen_keeps_a_locked_session_and_only_its_card(api: Workbench) -> None:
    api.seat(DOCTOR)
    secret = await paired_as(api, DOCTOR)
    path, token = await api.login(secret)
    api.seat(OTHER)
    assert api.sessions.of(DOCTOR)[0].state == "locked"
    assert len((await api.call("GET", "/v1/cards", bearer=secret)).json["cards"]) == 1  # type: ignore[arg-type]
    api.person.pins = [PIN]
    sign = {"document_name": "cr.txt", "document": "Y3I="}
    assert (await api.call("POST", f"{path}/signatures", sign, bearer=token)).status == 200
    assert (await api.call("DELETE", path, bearer=token)).status == 204
    assert (await api.call("GET", "/v1/cards", bearer=secret)).code == "reader.not_yours"


async def test_whose_dialog_outlasts_the_switch_presents_nothing(api: Workbench) -> None:
    api.seat(OTHER)
    api.turn_to(OTHER)
    for act in ("pin-changes", "pin-unblocks"):
        api.seat(OTHER)
        api.person.attentive.clear()
        api.person.is_asked.clear()
        api.person.pins = ["0000", "8642", "8642"]
        asking = asyncio.ensure_future(api.call("POST", f"{card_of(api)}/{act}", {}, via="unix"))
        await api.person.is_asked.wait()
        api.seat(DOCTOR)
        api.person.attentive.set()
        assert (await asking).code == "reader.not_yours"
    assert await tries(api) == (3, 10)


async def test_a_login_whose_pin_is_typed_after_the_switch_opens_nothing(api: Workbench) -> None:
    api.seat(OTHER)
    secret = await paired_as(api, OTHER)
    api.person.pins = [PIN]
    api.person.attentive.clear()
    api.person.is_asked.clear()
    asking = asyncio.ensure_future(api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret))
    await api.person.is_asked.wait()
    api.seat(DOCTOR)
    api.person.attentive.set()
    assert (await asking).code == "reader.not_yours"
    assert api.sessions.of(OTHER) == []


async def test_streams_end_with_the_switch_and_the_next_one_begins_with_what_is_there(api: Workbench) -> None:
    api.seat(DOCTOR)
    api.turn_to(OTHER)
    async with stream(api) as others:
        assert (await others())[1]["cards"] == []
        api.seat(OTHER)
        with pytest.raises(ValueError, match="dictionary"):  # the stream has ended
            await others()
    async with stream(api) as others:
        assert len((await others())[1]["cards"]) == 1  # type: ignore[arg-type]
        api.seat(DOCTOR, OTHER)
        api.reader.remove()
        assert (await others())[0] == "card.removed"


async def test_a_trace_ends_with_the_switch(api: Workbench) -> None:
    api.seat(OTHER)
    api.turn_to(OTHER)
    following = asyncio.ensure_future(api.call("POST", "/v1/support/traces", {"full": False}, via="unix"))
    await eventually(lambda: api.parts.trace.is_followed)
    api.seat(DOCTOR)
    assert b"event: exchange" not in (await following).raw
    assert not api.parts.trace.is_followed


async def test_a_pairing_and_a_session_that_needs_no_card_are_nobody_elses_business(seated: Workbench) -> None:
    assert (await seated.call("POST", "/v1/clients", SOFTWARE)).status == 201
    assert (await seated.call("GET", "/v1/status")).status == 200
