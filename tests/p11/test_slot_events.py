"""Slot events: what came or went since a program last asked, waiting for it, and programs that end while they wait."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.p11.cryptoki import Rv
from cardd.ports import Handover
from tests.p11.client import Client, Failed, ulong
from tests.p11.inside import Inside, soon
from tests.p11.programs import MODULES
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually

BLOCK, DONT_BLOCK = 0, 1
FIRST, SECOND = 1, 2
LIMIT = 20.0

# waits in a thread, looks meanwhile, and ends while the thread waits, as NSS does; prints what the waiting came to
ENDS_WHILE_IT_WAITS = """
import ctypes, sys, threading, time
found = ctypes.POINTER(ctypes.c_void_p)()
assert ctypes.CDLL(sys.argv[1]).C_GetFunctionList(ctypes.byref(found)) == 0
initialize, finalize, slots, wait = (
    ctypes.CFUNCTYPE(ctypes.c_ulong, *[ctypes.c_void_p] * many)(found[place])  # the first is the version
    for place, many in ((1, 1), (2, 1), (5, 3), (68, 3))
)
for _ in range(8):
    assert initialize(None) == 0
    came, slot, count = [], ctypes.c_ulong(), ctypes.c_ulong()
    waiting = threading.Thread(target=lambda: came.append(wait(None, ctypes.addressof(slot), None)))
    waiting.start()
    time.sleep(0.03)
    assert slots(None, None, ctypes.addressof(count)) == 0 and count.value == 4
    assert finalize(None) == 0
    waiting.join()
    print(*map(hex, came))
"""


@pytest_asyncio.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    """A daemon's parts."""
    async with Inside(tmp_path) as made:
        yield made


async def event(client: Client) -> int | Rv:
    """The slot of an event that is there, or why there is none."""
    try:
        return int.from_bytes(await client.call("wait_for_slot_event", ulong(DONT_BLOCK)), "big")
    except Failed as failed:
        return failed.rv


async def waiting(client: Client) -> int:
    """Begin to wait; return the call's tag."""
    tag = client.send("wait_for_slot_event", ulong(BLOCK))
    await client.slots()
    return tag


async def run(inside: Inside, *command: str | Path) -> asyncio.subprocess.Process:
    """Start an unmodified program."""
    if not MODULES or shutil.which(command[0]) is None:
        pytest.skip("not installed")
    address = f"unix:path={inside.path}"
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "P11_KIT_SERVER_ADDRESS": address},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_each_change_is_told_once_to_each_program(inside: Inside) -> None:
    one, other = await inside.client(), await inside.client()
    assert await event(one) is Rv.NO_EVENT
    inside.other_reader.insert(simulated_card())
    inside.reader.remove()
    await eventually(lambda: [card.reader for card in inside.parts.readers.every.cards()] == ["Lecteur B"])

    for client in (one, other):
        assert [await event(client) for _ in range(3)] == [FIRST, SECOND, Rv.NO_EVENT]


async def test_who_waits_is_told_when_a_card_comes_and_when_it_goes(inside: Inside) -> None:
    client = await inside.client()
    came = await waiting(client)
    inside.other_reader.insert(simulated_card())
    assert await client.answer() == (came, ulong(SECOND))
    went = await waiting(client)
    inside.other_reader.remove()
    assert await client.answer() == (went, ulong(SECOND))


async def test_all_threads_that_wait_have_one_answer_by_one_listener(inside: Inside) -> None:
    client = await inside.client()
    before = inside.parts.events.listeners
    tags = [await waiting(client) for _ in range(4)]
    assert inside.parts.events.listeners == before + 1
    client.send("wait_for_slot_event", ulong(BLOCK))
    with pytest.raises(Failed, match="HOST_MEMORY"):
        await client.answer()
    inside.other_reader.insert(simulated_card())

    assert [await client.answer() for _ in tags] == [(tag, ulong(SECOND)) for tag in tags]
    assert await event(client) is Rv.NO_EVENT
    assert inside.parts.events.listeners == before


async def test_a_card_that_comes_as_the_call_does_is_told(inside: Inside) -> None:
    client = await inside.client()
    for _ in range(3):
        inside.other_reader.insert(simulated_card())
        tag = client.send("wait_for_slot_event", ulong(BLOCK))
        assert await client.answer() == (tag, ulong(SECOND))
        inside.other_reader.remove()
        tag = client.send("wait_for_slot_event", ulong(BLOCK))
        assert await client.answer() == (tag, ulong(SECOND))


async def test_an_event_that_is_another_ones_wakes_nobody(tmp_path: Path) -> None:
    async with Inside(tmp_path, owners=("4711",), uid=4712) as inside:
        client = await inside.client()
        await waiting(client)
        inside.other_reader.insert(simulated_card())
        await eventually(lambda: len(inside.parts.readers.every.cards()) == 2)
        assert await client.slots() == []


async def test_who_comes_to_own_the_readers_is_told_of_their_cards(tmp_path: Path) -> None:
    async with Inside(tmp_path, owners=(), tells_who_sits_here=True, uid=4711) as inside:
        client = await inside.client()
        tag = await waiting(client)
        inside.parts.readers.owners.seated(frozenset({4711}))

        assert await client.answer() == (tag, ulong(FIRST))


async def test_c_finalize_answers_who_waits_before_it_is_answered(inside: Inside) -> None:
    client = await inside.client()
    await waiting(client)
    ended = client.send("finalize")

    with pytest.raises(Failed, match="CRYPTOKI_NOT_INITIALIZED"):
        await client.answer()
    assert await client.answer() == (ended, b"")


async def test_who_hangs_up_while_waiting_leaves_nothing(inside: Inside) -> None:
    client = await inside.client()
    before = inside.parts.events.listeners
    await waiting(client)
    assert inside.parts.events.listeners == before + 1
    client.writer.transport.abort()

    await eventually(lambda: inside.parts.events.listeners == before)


@pytest.mark.parametrize("sees_slots", [True, False])
async def test_a_restart_answers_all_that_wait_and_the_program_goes_on(tmp_path: Path, sees_slots: bool) -> None:
    kept: list[int] = []

    def keep(descriptor: int, _: str) -> bool:
        kept.append(os.dup(descriptor))
        return True

    owners = ("*",) if sees_slots else ()
    async with Inside(
        tmp_path, handover=Handover(keep=keep), owners=owners, tells_who_sits_here=True, uid=4711
    ) as inside:
        client = await inside.client()
        tags = [client.send("wait_for_slot_event", ulong(BLOCK)) for _ in range(4)]
        await client.slots()
        await inside.parts.lifecycle.stop()
        for tag in tags:
            if sees_slots:
                assert await client.answer() == (tag, ulong(FIRST))
            else:
                with pytest.raises(Failed, match="NO_EVENT"):
                    await client.answer()
        await soon()
    assert len(kept) == 1
    os.close(kept[0])


async def test_the_distributions_client_may_end_while_it_waits(inside: Inside) -> None:
    program = await run(inside, sys.executable, "-c", ENDS_WHILE_IT_WAITS, *MODULES[:1])
    said, _ = await asyncio.wait_for(program.communicate(), LIMIT)

    assert (said.decode().split(), program.returncode) == ([hex(Rv.CRYPTOKI_NOT_INITIALIZED)] * 8, 0)


async def test_opensc_waits_for_a_card(inside: Inside) -> None:
    program = await run(inside, "pkcs11-tool", "--module", *MODULES[:1], "--test-hotplug")
    listening = inside.parts.events.listeners
    assert program.stdin is not None
    program.stdin.write(b"\nx\n\nx\n")
    program.stdin.write_eof()
    await eventually(lambda: inside.parts.events.listeners > listening)
    inside.other_reader.insert(simulated_card())
    said, _ = await asyncio.wait_for(program.communicate(), LIMIT)

    assert b"event on slot 0x2" in said
