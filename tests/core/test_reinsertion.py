"""A card that is put in again: how many commands until it is open and logged in, and when it is read all the same."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cardd.core.consents import SignatureRequest
from cardd.core.session import Session
from cardd.model import Message
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.cps4 import SimulatedCps4
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.simulator import issue
from tests.rig.waiting import eventually

REQUEST = SignatureRequest(None, Message(hashlib.sha256(b"SIMULATION").digest()), "ordonnance.pdf")
REOPENED_MAX = 6
LOGIN_MAX = {"cps3": 3, "cps4": 5}  # the tries, before and after the dialog, and VERIFY; a CPS4's channel twice


@pytest_asyncio.fixture(params=["cps3", "cps4"])
async def used(request: pytest.FixtureRequest) -> AsyncIterator[Core]:
    """A core whose card has signed."""
    kind = {"cps3": SimulatedCard, "cps4": SimulatedCps4}[request.param]
    card = kind(issue("medecin", len(PIN), request.param), pin=PIN.encode())
    core = Core(InProcessReader("Lecteur de test", card), card)
    core.person.pins = [PIN] * 3
    await core.start()
    await core.signing.sign(await logged_in(core), [REQUEST], None)
    yield core
    await core.stop()


async def logged_in(core: Core) -> Session:
    return (await core.login.open(CALLER, None))[0]


async def put_in_again(core: Core) -> None:
    core.reader.remove()
    await eventually(lambda: core.readers.cards() == [])
    core.reader.insert(core.card)
    await eventually(lambda: core.readers.cards() != [])


async def opening(core: Core) -> int:
    """Return how many APDUs it takes until the card's certificates are known."""
    before = core.card.count
    await core.readers.choose(None).access.certificates()
    return core.card.count - before


async def test_a_known_card_is_open_after_6_apdus_and_logged_in_after_few_more(used: Core) -> None:
    await put_in_again(used)
    assert await opening(used) <= REOPENED_MAX
    before = used.card.count
    session = await logged_in(used)
    assert used.card.count - before <= LOGIN_MAX[session.card.kind.value if session.card else ""]
    await used.signing.sign(session, [REQUEST], None)


async def test_a_known_card_tells_the_same_as_when_it_was_read(used: Core) -> None:
    access = used.readers.choose(None).access
    first = (await access.info(), await access.certificates())
    await put_in_again(used)
    access = used.readers.choose(None).access
    assert (await access.info(), await access.certificates()) == first


async def test_a_known_card_in_another_daemon_is_read(used: Core) -> None:
    """Nothing is on the disk."""
    other = Core(InProcessReader("Lecteur de test", used.card), used.card)
    await other.start()
    assert await opening(other) > REOPENED_MAX
    await other.stop()


async def test_a_recording_has_the_whole_of_a_known_card(used: Core) -> None:
    used.readers.read_anew()
    await put_in_again(used)
    assert await opening(used) > REOPENED_MAX


async def test_a_recording_that_begins_while_a_card_signs_has_the_whole_of_it_the_next_time(used: Core) -> None:
    used.readers.read_anew()
    await put_in_again(used)
    session = await logged_in(used)
    loop, begun = asyncio.get_running_loop(), threading.Event()

    def record() -> None:
        used.readers.read_anew()
        begun.set()

    used.reader.do_during(0x2A, lambda: (loop.call_soon_threadsafe(record), begun.wait(10)))
    await used.signing.sign(session, [REQUEST], None)  # what it then keeps of the card is forgotten after it
    await put_in_again(used)
    assert await opening(used) > REOPENED_MAX


async def test_of_a_card_in_a_lent_reader_nothing_is_known_and_nothing_kept(used: Core) -> None:
    """The agent that lends it may lie about a card that is real."""
    assert await opening_in(used, CALLER.peer.uid) > REOPENED_MAX
    used.readers.read_anew()
    assert await opening_in(used, CALLER.peer.uid) > REOPENED_MAX
    await used.signing.sign(await logged_in(used), [REQUEST], None)
    assert await opening_in(used, None) > REOPENED_MAX


async def opening_in(core: Core, user: int | None) -> int:
    """Return how many APDUs it takes in the reader as this user's own, or as this machine's."""
    core.readers.reader_removed(core.reader.name)
    core.readers.reader_added(core.reader, user)
    core.readers.card_inserted(core.reader.name, core.card.atr)
    return await opening(core)
