"""Programs that send without end, do not read, or go away in the middle: what it costs everybody else."""

from __future__ import annotations

import asyncio
import gc
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from cardd.p11.cryptoki import Mechanism
from tests.p11.client import NUMBERS, Client, mechanism, octets, room, ulong
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


async def test_each_call_has_one_answer_in_its_order_whoever_leaves_talks_nonsense_or_does_not_read(
    inside: Inside, caplog: pytest.LogCaptureFixture
) -> None:
    """More calls at once than are begun, behind a dialog, with answers that fill the buffer."""
    chance = Random(18)
    clients = [await inside.client() for _ in range(9)]
    key = await clients[0].key(await clients[0].session())
    inside.person.attentive.clear()
    sent = [await called(client, key, chance) for client in clients]
    for client in clients[::2]:
        client.take_answers(takes=False)
    await eventually(lambda: bool(inside.person.open))
    for client in clients[1::3]:
        client.send("find_objects_init", ulong(1) + room(2**31))  # no template
    for client in clients[2::3]:
        client.writer.transport.abort()
    for client in clients[::2]:
        client.take_answers(takes=True)
    inside.person.attentive.set()

    for client, by_session in zip(clients[::3], sent[::3], strict=True):
        tags = [await client.tag_answered() for _ in range(sum(map(len, by_session)))]
        assert [[tag for tag in tags if tag in own] for own in by_session] == by_session
        assert await client.slots()  # and no answer before this one's
    assert [record.message for record in caplog.records] == []


async def called(client: Client, key: int, chance: Random) -> list[list[int]]:
    """Send calls about three sessions in any order; return their tags by session."""
    sessions = [await client.session() for _ in range(3)]
    tags: list[list[int]] = [[], [], []]
    for _ in range(120):
        place = chance.randrange(3)
        session = ulong(sessions[place])
        calls = {
            "sign_init": mechanism(chance.choice((Mechanism.SHA256_RSA_PKCS, Mechanism.RSA_PKCS))) + ulong(key),
            "sign": octets(b"data") + room(512),
            "get_session_info": b"",
            "generate_random": room(20_000),
        }
        name = chance.choice(list(calls))
        tags[place].append(client.send(name, session + calls[name]))
    return tags


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
