"""Rule 6 for pages: one origin that two OS users allowed is two callers, who share nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cardd.api.parts import ApiLimits
from tests.api.test_events import hears_nothing, stream
from tests.api.workbench import PAGE, PIN, Got, Workbench

DOCTOR, OTHER = 1000, 1001
FROM_PAGE = {"Origin": PAGE}


@pytest.fixture
def doctors(api: Workbench) -> Workbench:
    """A workbench whose readers serve the doctor and another user of the same machine."""
    api.seat(DOCTOR, OTHER)
    api.turn_to(DOCTOR)
    return api


async def log_in(api: Workbench) -> Got:
    return await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=FROM_PAGE)


async def test_another_users_page_of_the_same_origin_hears_nothing_of_a_login(doctors: Workbench) -> None:
    api = doctors
    async with AsyncExitStack() as streams:
        api.turn_to(OTHER)
        others = await streams.enter_async_context(stream(api, via="v4", **FROM_PAGE))
        api.turn_to(DOCTOR)
        own = await streams.enter_async_context(stream(api, via="v4", **FROM_PAGE))
        assert (await log_in(api)).status == 201
        assert [(await own())[0] for _ in range(4)] == ["hello", "prompt.opened", "prompt.closed", "session.opened"]
        assert (await others())[0] == "hello"
        assert await hears_nothing(others)


async def test_another_users_page_of_the_same_origin_reads_no_certificates_unasked(doctors: Workbench) -> None:
    api = doctors
    assert (await log_in(api)).status == 201
    path = f"/v1/cards/{api.readers.cards()[0].id}/certificates"
    assert (await api.call("GET", path, headers=FROM_PAGE)).status == 200
    assert api.person.questions == []
    api.turn_to(OTHER)
    assert (await api.call("GET", path, headers=FROM_PAGE)).status == 200
    assert [(question.topic, question.uid) for question in api.person.questions] == [("certificates", OTHER)]


async def test_another_users_wrong_pins_make_the_same_origin_of_the_doctor_wait_for_nothing(doctors: Workbench) -> None:
    api = doctors
    api.turn_to(OTHER)
    api.person.pins = ["0000", "0000"]
    assert (await log_in(api)).code == "pin.wrong"
    assert (await log_in(api)).code == "pin.back_off"
    api.turn_to(DOCTOR)
    api.person.pins = [PIN]
    assert (await log_in(api)).status == 201


async def test_another_users_streams_of_the_same_origin_leave_the_doctor_theirs(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(in_flight=2)))
    api.seat(DOCTOR, OTHER)
    async with AsyncExitStack() as streams:
        api.turn_to(OTHER)
        for _ in range(2):
            others = await streams.enter_async_context(stream(api, via="v4", **FROM_PAGE))
            assert (await others())[0] == "hello"
        assert (await api.call("GET", "/v1/events", headers=FROM_PAGE)).code == "request.too_many"
        api.turn_to(DOCTOR)
        own = await streams.enter_async_context(stream(api, via="v4", **FROM_PAGE))
        assert (await own())[0] == "hello"


async def test_one_idempotency_key_of_two_users_is_two_logins(doctors: Workbench) -> None:
    api = doctors
    key = {"Idempotency-Key": "one"}
    first = await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=FROM_PAGE | key)
    api.turn_to(OTHER)
    api.person.pins = [PIN]
    second = await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=FROM_PAGE | key)
    assert (first.status, second.status) == (201, 201)
    assert first.text("id") != second.text("id")
