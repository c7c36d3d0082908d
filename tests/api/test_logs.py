"""The log's last lines over the API: masked but for administrators, and for nobody whose the readers are not."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from typing import cast

import pytest

from cardd.core.observer import REFUSED_MAX
from cardd.model import Plain
from tests.api.workbench import Json, Workbench

LOGS = "/v1/support/logs"
SECRET = "Jeanne DUPONT"


@pytest.fixture
async def book(api: Workbench) -> AsyncIterator[Workbench]:
    """A daemon whose log is kept, with a line that names somebody."""
    logger = logging.getLogger()
    level, handler = logger.level, api.parts.logbook
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.getLogger("cardd.test").warning("%s: %s", Plain("shown"), SECRET)
    yield api
    logger.removeHandler(handler)
    logger.setLevel(level)


def messages(told: Json) -> list[object]:
    return [one["message"] for one in cast(list[Json], told["lines"])]


async def test_lines_are_whole_for_administrators_and_masked_for_others(book: Workbench) -> None:
    for uid, query, told in (
        (0, "", f"shown: {SECRET}"),
        (os.geteuid(), "?masked=true", "shown: …"),
        (54321, "", "shown: …"),
        (54321, "?masked=false", "shown: …"),
    ):
        book.seat(54321)
        book.turn_to(uid)
        got = await book.call("GET", LOGS + query, via="unix")
        assert told in messages(got.json)
        assert got.json["masked"] is ("…" in told)


async def test_whose_the_readers_are_not_reads_nothing_and_no_program_does(book: Workbench) -> None:
    secret = await book.pair()
    assert (await book.call("GET", LOGS, bearer=secret)).status == 403
    book.seat(54321)
    book.turn_to(54322)
    assert (await book.call("GET", LOGS, via="unix")).code == "reader.not_yours"


async def test_nobody_drives_the_lines_of_others_out(book: Workbench) -> None:
    book.seat(os.geteuid())
    book.turn_to(54322)
    for _ in range(REFUSED_MAX + 440):
        await book.call("GET", "/v1/readers", via="unix")
    book.turn_to(os.geteuid())
    await book.call("GET", "/v1/sessions/none", via="unix")
    told = messages((await book.call("GET", LOGS, via="unix")).json)
    assert f"shown: {SECRET}" in told
    assert sum("reader.not_yours" in str(line) for line in told) == REFUSED_MAX
    assert "user 54322: more requests fail than have lines; metrics count them" in told
    assert "GET /v1/sessions/{id}" in str(told[-1])
    assert book.parts.observer.counts.failures["reader.not_yours"] == REFUSED_MAX + 440


async def test_the_lines_of_one_request_are_found_by_its_name(book: Workbench) -> None:
    secret, name = await book.pair(), "0123456789abcdef"
    await book.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret, headers={"X-Request-ID": name})
    got = await book.call("GET", f"{LOGS}?request={name}", via="unix")
    [line] = messages(got.json)
    assert str(line).startswith("POST /v1/sessions: 201 (person ")
