"""The dialogs of one person: a line that no caller fills, and that wears nobody down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cardd.config import Config, Prompt, Web
from cardd.core.events import Subscription
from cardd.errors import ConsentTimeout
from cardd.model import CallerKey, Choice
from tests.api.test_events import stream
from tests.api.test_hanging_up import DOCUMENT, open_dialog, sent, signature
from tests.api.workbench import PAGE, PAGE_WITH_PORT, PIN, SOFTWARE, Got, Workbench
from tests.rig.waiting import eventually

Start = Callable[[Workbench], Awaitable[Workbench]]


async def sign(api: Workbench, path: str, token: str) -> Got:
    return await api.call("POST", f"{path}/signatures", DOCUMENT, bearer=token)


def heard(api: Workbench) -> Subscription:
    """What the callers of this user are told of their dialogs."""
    return api.events.subscribe(CallerKey(os.getuid(), "who looks on"), whole_user=True)


async def in_line(told: Subscription, questions: int) -> None:
    """Return once so many more questions are told which place they have behind others."""
    for _ in range(questions):
        while (event := await told.next()) is not None and event.type != "prompt.waiting":
            pass


async def asked_by(api: Workbench, name: str) -> Got:
    return await api.enter(f"https://{name}.example")


# --- what is refused again and again


async def test_a_program_refused_three_times_in_five_minutes_asks_no_more_for_a_while(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.choice = Choice.NO
    for _ in range(3):
        assert (await sign(api, path, token)).code == "consent.refused"
        api.clock.seconds += 20
    got = await sign(api, path, token)
    assert (got.status, got.code) == (429, "consent.refused_often")
    assert (got.json["retry_after"], got.headers["Retry-After"]) == (240, "240")
    assert " 3 " in got.text("detail")
    assert api.person.topics().count("sign") == 3
    api.clock.seconds += 240
    api.person.choice = Choice.YES
    assert (await sign(api, path, token)).status == 200


async def test_another_program_is_asked_for_meanwhile(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.choice = Choice.NO
    for _ in range(4):
        await sign(api, path, token)
    api.person.choice = Choice.YES
    api.person.pins = [PIN]
    assert (await api.login(await api.pair(name="Autre")))[1]


async def test_dialogs_of_every_kind_count_together(api: Workbench) -> None:
    path, token = await api.logged_in()
    secret = await api.pair(name="Autre")
    api.person.choice, api.person.pins = Choice.NO, []
    cards = f"/v1/cards/{api.readers.cards()[0].id}"
    assert (await api.call("GET", f"{cards}/certificates", bearer=secret)).code == "consent.refused"
    assert (await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)).code == "pin.cancelled"
    api.person.fault = ConsentTimeout()
    assert (await api.call("GET", f"{cards}/certificates", bearer=secret)).code == "consent.timeout"
    api.person.fault = None
    assert (await api.call("GET", f"{cards}/certificates", bearer=secret)).code == "consent.refused_often"
    login = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    assert login.code == "consent.refused_often"
    assert (await sign(api, path, token)).code == "consent.refused"  # another program's count


async def test_a_dialog_that_its_caller_takes_back_counts_as_refused(api: Workbench) -> None:
    raw = await signature(api)
    for _ in range(3):
        async with open_dialog(api, raw):
            pass
        await eventually(lambda: not api.person.open)
    api.person.attentive.set()
    assert b"consent.refused_often" in await api.raw(raw)


async def test_unknown_pages_are_counted_together(started: Start, tmp_path: Path) -> None:
    api = await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))
    api.person.choice = Choice.NO
    got = [await asked_by(api, f"h{number}") for number in range(12)]
    assert [one.code for one in got] == ["client.pairing_refused"] * 3 + ["consent.refused_often"] * 9
    assert len(api.person.questions) == 3
    api.person.choice = Choice.YES
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).status == 201  # programs are counted apart


async def test_pairings_are_counted_together_whatever_name_the_program_takes(api: Workbench) -> None:
    api.person.choice = Choice.NO
    for name in ("Un", "Deux", "Trois"):
        assert (await api.call("POST", "/v1/clients", {**SOFTWARE, "name": name})).code == "client.pairing_refused"
    refused = await api.call("POST", "/v1/clients", {**SOFTWARE, "name": "Quatre"}, headers={"Prefer": "respond-async"})
    assert refused.code == "consent.refused_often"
    assert len(api.person.questions) == 3


async def test_the_other_users_of_the_machine_have_counts_of_their_own(api: Workbench) -> None:
    api.person.choice = Choice.NO
    for _ in range(4):
        await api.call("POST", "/v1/clients", SOFTWARE)
    api.uid = (api.uid or 0) + 1
    api.forget_connections()
    api.person.choice = Choice.YES
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).status == 201


async def test_what_waits_when_the_third_is_refused_is_never_shown(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    asked = [asyncio.ensure_future(sign(api, path, token)) for _ in range(5)]
    await eventually(lambda: api.person.open == ["sign"])
    api.person.choice = Choice.NO
    api.person.attentive.set()
    codes = sorted([str((await one).code) for one in asked])
    assert codes == ["consent.refused"] * 3 + ["consent.refused_often"] * 2
    assert api.person.topics().count("sign") == 3


async def test_a_site_says_how_many_and_how_long(started: Start, tmp_path: Path) -> None:
    api = await started(Workbench(tmp_path, Config(prompt=Prompt(refusals=1, refusal_window=10))))
    api.person.choice = Choice.NO
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).code == "client.pairing_refused"
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).json["retry_after"] == 10
    api.clock.seconds += 10
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).code == "client.pairing_refused"


# --- the line


async def test_a_login_goes_before_what_else_waits(api: Workbench) -> None:
    path, token = await api.logged_in()
    other = await api.pair(name="Autre")
    api.person.attentive.clear()
    api.person.pins, told = [PIN], heard(api)
    async with asyncio.TaskGroup() as calls:
        calls.create_task(sign(api, path, token))
        await eventually(lambda: api.person.open == ["sign"])
        cards = f"/v1/cards/{api.readers.cards()[0].id}/certificates"
        calls.create_task(api.call("GET", cards, headers={"Origin": PAGE}))
        calls.create_task(api.call("GET", cards, headers={"Origin": PAGE_WITH_PORT}))
        await in_line(told, 2)
        login = calls.create_task(api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=other))
        await in_line(told, 1)
        asked = len(api.person.pin_questions)
        while "login" not in api.person.open:
            api.person.attentive.set()
            api.person.attentive.clear()
            await asyncio.sleep(0.01)
        assert len(api.person.pin_questions) == asked + 1
        assert api.person.topics().count("certificates") == 0
        api.person.attentive.set()
    assert login.result().status == 201


async def test_a_caller_with_many_questions_lets_the_others_in_between(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    cards, told = f"/v1/cards/{api.readers.cards()[0].id}/certificates", heard(api)
    async with asyncio.TaskGroup() as calls:
        for _ in range(4):
            calls.create_task(sign(api, path, token))
        await in_line(told, 3)
        calls.create_task(api.call("GET", cards, headers={"Origin": PAGE}))
        await in_line(told, 1)
        api.person.attentive.set()
    assert api.person.topics()[1:] in (
        ["sign", "sign", "certificates", "sign", "sign"],  # its second one had its place before the page came
        ["sign", "certificates", "sign", "sign", "sign"],
    )


async def test_one_dialog_at_a_time_for_one_person(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    told = heard(api)
    calls = [asyncio.ensure_future(sign(api, path, token)) for _ in range(3)]
    await in_line(told, 2)
    assert api.person.open == ["sign"]
    api.person.attentive.set()
    assert [(await one).status for one in calls] == [200] * 3


async def test_who_has_eight_questions_in_the_line_is_told_so(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    told = heard(api)
    calls = [asyncio.ensure_future(sign(api, path, token)) for _ in range(9)]
    await in_line(told, 8)
    got = await sign(api, path, token)
    assert got.code == "prompt.busy"
    assert got.text("detail").startswith("8 ")
    api.person.attentive.set()
    await asyncio.gather(*calls)


async def test_who_waits_is_told_how_many_dialogs_come_before(api: Workbench) -> None:
    path, token = await api.logged_in()
    cards = f"/v1/cards/{api.readers.cards()[0].id}/certificates"
    async with stream(api, via="v4", Origin=PAGE) as told:
        await told()
        api.person.attentive.clear()
        signing = asyncio.ensure_future(sign(api, path, token))
        await eventually(lambda: api.person.open == ["sign"])
        reading = asyncio.ensure_future(api.call("GET", cards, headers={"Origin": PAGE}))
        assert await told() == ("prompt.waiting", {"topic": "certificates", "ahead": 1})
        api.person.attentive.set()
        assert (await told())[0] == "prompt.opened"
        assert (await told())[0] == "prompt.closed"
        await asyncio.gather(signing, reading)


async def test_who_leaves_the_line_holds_nobody_up(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.person.attentive.clear()
    told = heard(api)
    signing = asyncio.ensure_future(sign(api, path, token))
    await eventually(lambda: api.person.open == ["sign"])
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(sent(api, "POST", f"{path}/signatures", DOCUMENT, Authorization=f"Bearer {token}"))
    await in_line(told, 1)
    behind = asyncio.ensure_future(sign(api, path, token))
    await in_line(told, 1)
    writer.close()
    await in_line(told, 1)  # who comes next now
    api.person.attentive.set()
    assert [(await one).status for one in (signing, behind)] == [200, 200]
    assert api.person.topics().count("sign") == 2


# --- the language


@pytest.mark.parametrize(
    ("stated", "language"),
    [("en-GB,en;q=0.9", "en"), ("fr", "fr"), ("de, en;q=0.2", "en"), ("*", None), ("de", None), (None, None)],
)
async def test_a_dialog_speaks_as_whoever_asks_does_and_else_as_the_desktop(
    api: Workbench, stated: str | None, language: str | None
) -> None:
    headers = {"Accept-Language": stated} if stated else {}
    await api.call("POST", "/v1/clients", SOFTWARE, headers=headers)
    assert [question.language for question in api.person.questions] == [language]


async def test_the_pin_s_dialog_speaks_that_language_too(api: Workbench) -> None:
    await api.login(await api.pair(), **{"Accept-Language": "en"})
    assert [asked.question.language for asked in api.person.pin_questions] == ["en"]
