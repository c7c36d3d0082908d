"""A dialog about a card ends when that card leaves: nobody types a PIN, or agrees, for a card that is gone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine

import pytest

from cardd.core.consents import SignatureRequest
from cardd.errors import CardRemoved, ConsentRefused
from cardd.model import Choice, Message
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.waiting import eventually

Act = Callable[[Core], Coroutine[None, None, None]]
REQUEST = SignatureRequest(None, Message(hashlib.sha256(b"SIMULATION").digest()), "ordonnance.pdf")


async def log_in(core: Core) -> None:
    await core.login.open(CALLER, None)


async def log_in_on_the_last_try(core: Core) -> None:
    for _ in range(2):
        core.card.process(bytes.fromhex("0020000104") + b"0000")
    await core.login.open(CALLER, None)


async def sign(core: Core) -> None:
    core.person.attentive.set()
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    core.person.attentive.clear()
    core.person.is_asked.clear()
    await core.signing.sign(session, [REQUEST], None)


async def change_pin(core: Core) -> None:
    await core.pin_life.change(CALLER, core.readers.choose(None))


async def unblock_pin(core: Core) -> None:
    await core.pin_life.unblock(CALLER, core.readers.choose(None))


@pytest.mark.parametrize("act", [log_in, log_in_on_the_last_try, sign, change_pin, unblock_pin])
async def test_the_dialog_ends_at_once_and_says_why(core: Core, act: Act) -> None:
    core.person.attentive.clear()
    asking = asyncio.ensure_future(act(core))
    await eventually(lambda: core.person.is_asked.is_set() and not core.person.attentive.is_set())
    core.reader.remove()
    with pytest.raises(CardRemoved):
        await asyncio.wait_for(asking, 2)
    assert core.sessions.of(CALLER.peer.uid) == []
    core.person.choice = Choice.NO
    core.person.attentive.set()


async def test_a_card_that_leaves_is_no_refusal_of_the_person(core: Core) -> None:
    for _ in range(5):
        core.person.attentive.clear()
        core.person.is_asked.clear()
        asking = asyncio.ensure_future(log_in(core))
        await core.person.is_asked.wait()
        core.reader.remove()
        with pytest.raises(CardRemoved):
            await asyncio.wait_for(asking, 2)
        core.reader.insert(core.card)
        await eventually(lambda: bool(core.readers.cards()))
    core.person.attentive.set()
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    core.person.choice = Choice.NO
    with pytest.raises(ConsentRefused):
        await core.signing.sign(session, [REQUEST], None)
