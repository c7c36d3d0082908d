"""Support watches what goes to the card: never a PIN, and what names the holder only for administrators."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tests.api.workbench import PAGE, PIN, Json, Workbench

TRACES = "/v1/support/traces"


class Followed:
    """A trace that is open."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines

    async def until(self, instruction: str) -> list[Json]:
        """What was told, to the first such command."""
        told: list[Json] = []
        while not told or told[-1]["instruction"] != instruction:
            kind, one = await self.next()
            told += [one] if kind == "exchange" else []
        return told

    async def next(self) -> tuple[str, Json]:
        """The next step, and of what kind it is."""
        number, kind, data, _ = [(await self._lines.readline()).decode().rstrip("\n") for _ in range(4)]
        assert number.startswith("id: ")
        return kind.removeprefix("event: "), cast(Json, json.loads(data.removeprefix("data: ")))


@asynccontextmanager
async def following(api: Workbench, *, full: bool = False) -> AsyncIterator[Followed]:
    sent = api.http("unix").post(api.base("unix") + TRACES, json={"full": full})
    async with asyncio.timeout(20), sent as answer:
        assert answer.status == 200, await answer.read()
        yield Followed(cast(asyncio.StreamReader, answer.content))


async def test_each_exchange_of_a_login_is_told_by_lengths_and_status(api: Workbench) -> None:
    secret = await api.pair()
    async with following(api) as trace:
        await api.login(secret)
        told = await trace.until("VERIFY")
    assert told[0]["begins"] is True
    assert {one["reader"] for one in told} == {"Lecteur A"}
    assert all(set(one) <= {"at", "reader", "request", "begins", "atr", "protocol", "instruction", "header", "le",
                            "sent", "secret", "received", "status", "microseconds"} for one in told)  # fmt: skip
    assert [one["status"] for one in told if one["instruction"] == "SELECT"][-1] == "9000"


@pytest.mark.parametrize("full", [False, True], ids=["short", "full"])
async def test_no_trace_has_the_pin(api: Workbench, full: bool) -> None:
    secret = await api.pair()
    async with following(api, full=full) as trace:
        await api.login(secret)
        told = await trace.until("VERIFY")
        while told[-1]["sent"] == 0 and told[-1]["status"] != "9000":  # the first asks for the tries left
            told += await trace.until("VERIFY")
    assert told[-1]["status"] == "9000"
    assert "data" not in told[-1]
    assert PIN.encode().hex() not in json.dumps(told).lower()


async def test_the_full_trace_has_what_was_sent_and_answered(api: Workbench) -> None:
    secret = await api.pair()
    async with following(api, full=True) as full, following(api) as short:
        await api.login(secret)
        [told, less] = [await trace.until("VERIFY") for trace in (full, short)]
    assert [{**one, "data": "", "answer": ""} for one in told] == [{**one, "data": "", "answer": ""} for one in less]
    for one in told[:-1]:
        assert len(str(one["data"])) == 2 * cast(int, one["sent"])
        assert len(str(one["answer"])) == 2 * cast(int, one["received"])


async def test_the_full_trace_is_for_administrators_and_a_row_of_the_audit_log(api: Workbench) -> None:
    api.uid = 54321
    api.seat(54321)
    for full, told in ((True, "support_code.administrator"), (False, None)):
        api.forget_connections()
        if told:
            got = await api.call("POST", TRACES, {"full": full}, via="unix")
            assert (got.status, got.code) == (403, told)
        else:
            async with following(api):
                pass
    assert api.audit.entries == []
    for uid in (0, os.geteuid()):
        api.uid = uid
        api.forget_connections()
        async with following(api, full=True):
            assert [entry.action for entry in api.audit.entries][-1] == "support.trace_full"


async def test_programs_and_pages_follow_none(api: Workbench) -> None:
    secret = await api.pair()
    assert (await api.call("POST", TRACES, {}, bearer=secret)).code == "request.forbidden"
    assert (await api.call("POST", TRACES, {}, headers={"Origin": PAGE})).code == "request.forbidden"


async def test_nothing_is_kept_for_who_follows_later(api: Workbench) -> None:
    path, token = await api.logged_in()
    assert api.parts.trace.is_followed is False
    async with following(api) as trace:
        assert api.parts.trace.is_followed is True
        document = {"document_name": "Ordonnance", "digest": b64encode(bytes(32)).decode()}
        await api.call("POST", f"{path}/signatures", document, bearer=token)
        told = await trace.until("PERFORM SECURITY OPERATION")
    assert [one["instruction"] for one in told].count("VERIFY") <= 1


async def test_the_trace_ends_with_the_daemon(api: Workbench) -> None:
    async with api.http("unix").post(api.base("unix") + TRACES, json={}) as answer:
        await api.lifecycle.stop()
        told = await asyncio.wait_for(answer.content.read(), 20)
    assert [line for line in told.splitlines() if line.startswith(b"event: ")] == 2 * [b"event: reader.present"]
