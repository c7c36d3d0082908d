"""A hostile card ends in a clear error, soon and after few commands: never in a hang, a crash, or a signature."""

from __future__ import annotations

import asyncio
import hashlib
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from cardd.core.leases import CardAccess, Login
from cardd.core.registry import DriverRegistry
from cardd.driver import Card
from cardd.errors import CarddError, CardGarbled, CardTimeout, PinBlocked, PinError, SignatureInvalid
from cardd.model import Algorithm, KeyPurpose, Message
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.simulator.inprocess import InProcessReader
from cardd_drivers.vitale import VitaleDriver
from tests.hostile.cards import SIGN, VERIFY, WHEN_OPENED, Answer, HostileCard, Malice, to
from tests.rig.simulator import PIN

MESSAGE = Message(hashlib.sha256(b"SIMULATION").digest())
LIMIT = 20.0  # seconds for one case on a slow machine; most take some milliseconds
MEMORY = 8 * 1024 * 1024  # bytes


@asynccontextmanager
async def access_to(card: HostileCard, *, timeout: float = 10.0) -> AsyncIterator[CardAccess]:
    registry = DriverRegistry([Cps3Driver(), Cps4Driver(), VitaleDriver()])
    reader = InProcessReader("Lecteur de test", opener=registry.open)
    reader.insert(card)
    access = CardAccess(reader, hold=0, timeout=timeout)
    try:
        yield access
    finally:
        card.let_go.set()
        await access.close()
        await reader.close()


async def fails(work: Callable[[], Awaitable[object]]) -> CarddError:
    begun = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(CarddError) as failed:
            await work()
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < LIMIT
    assert failed.value.code != "internal"
    return failed.value


def sign(card: Card) -> bytes:
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    return card.sign(key, Algorithm.RS256, MESSAGE)


def login() -> Login:
    return Login("session", Secret.of(PIN), accepted=True)


@pytest.mark.parametrize("malice", WHEN_OPENED, ids=lambda malice: malice.name)
async def test_opening_it_ends_in_an_error_after_few_commands(malice: Malice) -> None:
    card = HostileCard(malice.answer())
    async with access_to(card) as access:
        await fails(access.certificates)
        assert card.commands <= malice.commands


@pytest.mark.parametrize("malice", WHEN_OPENED, ids=lambda malice: malice.name)
async def test_no_pin_reaches_a_card_that_cannot_be_opened(malice: Malice) -> None:
    seen: list[bytes] = []
    answer = malice.answer()

    def watched(apdu: bytes) -> bytes | None:
        if apdu[1] == VERIFY and PIN in apdu:
            seen.append(apdu)
        return answer(apdu)

    async with access_to(HostileCard(watched)) as access:
        await fails(lambda: access.use(sign, login()))
    assert seen == []


async def test_a_card_that_never_answers_is_given_up_in_time() -> None:
    def silent(_: bytes) -> bytes:
        card.let_go.wait(30)
        return b"\x6f\x00"

    card = HostileCard(silent)
    async with access_to(card, timeout=0.5) as access:
        error = await fails(access.certificates)
    assert isinstance(error, CardTimeout)


@pytest.mark.parametrize("atr", [b"\xff" * 40, b"\x3b", b"\x3b\xff", bytes.fromhex("3BFF") + b"\xff" * 31], ids=len)
async def test_an_answer_to_reset_that_is_none_opens_nothing(atr: bytes) -> None:
    async with access_to(HostileCard(lambda _: b"\x6d\x00", atr)) as access:
        await fails(access.certificates)


@pytest.mark.parametrize(
    "signature",
    [b"", b"\x00" * 256, b"\xff" * 256, b"\x01" * 255, b"\x30" * 300, PIN],
    ids=lambda value: f"{len(value)} bytes",
)
async def test_a_signature_that_is_none_is_handed_to_nobody(signature: bytes) -> None:
    waiting = [signature]

    def lying(apdu: bytes) -> bytes | None:
        if apdu[1] == SIGN:
            return b"\x61" + bytes((len(signature) % 256,)) if signature else b"\x90\x00"
        if apdu[1] == 0xC0 and waiting:
            return waiting.pop()[:256] + b"\x90\x00"
        return None

    async with access_to(HostileCard(lying)) as access:
        await access.certificates()
        error = await fails(lambda: access.use(sign, login()))
    assert isinstance(error, SignatureInvalid | CardGarbled)


async def test_a_right_signature_of_something_else_is_handed_to_nobody() -> None:
    other = hashlib.sha256(b"autre chose").digest()

    def swapped(apdu: bytes) -> bytes | None:
        if apdu[1] == SIGN and len(apdu) > 5:
            return card._honest.process(apdu[:5] + other + apdu[37:])
        return None

    card = HostileCard(swapped)
    async with access_to(card) as access:
        await access.certificates()
        assert isinstance(await fails(lambda: access.use(sign, login())), SignatureInvalid)


def blocked_after_all(apdu: bytes) -> bytes:
    return b"\x69\x83" if PIN in apdu else b"\x63\xc3"


@pytest.mark.parametrize(
    "answer",
    [to(VERIFY, lambda _: b"\x63\xcf"), to(VERIFY, blocked_after_all)],
    ids=["fifteen tries for ever", "three tries, then blocked"],
)
async def test_a_counter_that_lies_costs_one_pin_at_most(answer: Answer) -> None:
    sent: list[bytes] = []

    def watched(apdu: bytes) -> bytes | None:
        if apdu[1] == VERIFY and PIN in apdu:
            sent.append(apdu)
        return answer(apdu)

    async with access_to(HostileCard(watched)) as access:
        error = await fails(lambda: access.use(sign, Login("session", Secret.of(PIN))))
    assert isinstance(error, PinError | PinBlocked)
    assert len(sent) == 1


async def test_others_are_served_while_a_card_hangs() -> None:
    def silent(_: bytes) -> bytes:
        card.let_go.wait(30)
        return b"\x6f\x00"

    card = HostileCard(silent)
    async with access_to(card, timeout=5) as hanging, access_to(HostileCard(lambda _: None)) as good:
        stuck = asyncio.ensure_future(hanging.certificates())
        assert len(await good.certificates()) == 2
        assert len(await good.use(sign, login())) == 256
        assert not stuck.done()
        card.let_go.set()
        with pytest.raises(CarddError):
            await stuck
