"""Programs that send without end, do not read, or go away in the middle: what it costs everybody else."""

from __future__ import annotations

import asyncio
import gc
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.p11.cryptoki import Mechanism
from tests.p11.client import NUMBERS, mechanism, octets, room, ulong
from tests.p11.inside import Inside, soon
from tests.rig.waiting import eventually

RANDOM = 64 * 1024


@pytest_asyncio.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    """A daemon's parts."""
    async with Inside(tmp_path) as made:
        yield made


def frame(name: str, body: bytes) -> bytes:
    """Return a call as it is sent."""
    call = NUMBERS[name]
    whole = struct.pack(">II", call.number, len(call.request)) + call.request + body
    return struct.pack(">III", 16, 0, len(whole)) + whole


async def turn() -> float:
    """Return the seconds of one turn of the loop, without what other programs of a busy machine take."""
    began = time.thread_time()
    await asyncio.sleep(0)
    return time.thread_time() - began


async def test_answers_that_nobody_takes_are_not_made(inside: Inside) -> None:
    """Small calls with large answers, all in one piece: the next one is answered when this one has been read."""
    client = await inside.client()
    random = frame("generate_random", ulong(await client.session()) + room(RANDOM))
    client.take_answers(takes=False)
    tracemalloc.start()
    try:
        client.writer.write(random * 500)
        await asyncio.sleep(0.3)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 4 * 1024 * 1024
    client.take_answers(takes=True)
    assert {len((await client.answer())[1]) for _ in range(500)} == {5 + RANDOM}


async def test_who_sends_without_end_over_many_connections_leaves_the_loop_to_others(inside: Inside) -> None:
    clients = [await inside.client() for _ in range(64)]
    unknown = struct.pack(">I", 200) + struct.pack(">II", 0x9999, 64) * 200
    calls = [frame("get_attribute_value", ulong(await each.session(), 1) + unknown) * 60 for each in clients]
    for client, sent in zip(clients, calls, strict=True):
        client.take_answers(takes=False)
        client.writer.write(sent)
    gc.disable()  # a collection is the longest turn of all
    try:
        turns = [await turn() for _ in range(2000)]
    finally:
        gc.enable()

    assert max(turns) < sum(turns) / 10  # also what waited behind the first call, which reads the card


async def test_who_goes_away_before_the_answers_leaves_nothing_in_the_log(
    inside: Inside, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        client = await inside.client()
        client.writer.write(frame("get_info", b"") * 200)
        client.writer.transport.abort()
    await soon()

    assert await (await inside.client()).slots()
    assert [record.message for record in caplog.records] == []


async def test_a_dialog_closes_with_its_program_also_behind_calls_that_nobody_reads(inside: Inside) -> None:
    inside.person.attentive.clear()
    client = await inside.client()
    session = await client.session()
    key = await client.key(session)
    client.send("sign_init", ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key))
    client.send("sign", ulong(session) + octets(b"data") + room(512))
    for _ in range(90):
        client.send("get_session_info", ulong(session))
    await eventually(lambda: inside.person.open == ["program"])
    client.writer.transport.abort()

    await eventually(lambda: not inside.person.open)
