"""Hostile cards over real pcscd: silence, slowness, floods and answers to reset that are none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cardd.core.card_access import CardAccess
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import DriverRegistry
from cardd.errors import CardError, CardGarbled, CardMute, CardTimeout
from cardd.pcsc.channel import PcscReader
from cardd.pcsc.winscard import WinScard
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from tests.hostile.cards import ODF, READ, Exchange, HostileCard, Malice, reading
from tests.hostile.malices import CASES, Case
from tests.rig.here import use_here
from tests.rig.memory import ManualClock
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import inserted, simulated_card, wait_for_card

CHOSEN = (
    "61xx, a byte each time",
    "6Cxx and again 6Cxx",
    "a directory of FFFF bytes",
    "a directory that never ends",
    "a certificate byte by byte",
    "each answer byte by byte",
    "an ODF that names itself",
    "one certificate 64 times, as long as may be",
)
LIMIT = 20.0  # seconds that any of them may take on a slow machine; most take some milliseconds
DEADLINE = 0.5  # seconds for one job, where the card is slow
PAUSE = 0.05  # seconds that a slow card takes for each command


@pytest.fixture
def pcscd(tmp_path: Path) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path)
    use_here(pcscd)
    pcscd.start()
    yield pcscd
    pcscd.stop()


@pytest.fixture
async def reader(pcscd: Pcscd) -> AsyncIterator[PcscReader]:
    opener = DriverRegistry([Cps3Driver(), Cps4Driver()]).open
    reader = PcscReader(pcscd.reader_names[0], WinScard(), "fr", opener)
    yield reader
    await reader.close()


async def read_all(reader: PcscReader, *, timeout: float = LIMIT) -> int:
    """Everything that is read before a PIN is asked for."""
    access = CardAccess(reader, PinGuard(ManualClock()), hold=0, timeout=timeout)
    found = await access.certificates()
    await access.use(lambda opened: opened.pin_status())
    return len(found)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CHOSEN], ids=lambda case: case.name)
async def test_a_hostile_card_ends_in_its_error_and_a_good_one_is_read_after_it(
    reader: PcscReader, pcscd: Pcscd, case: Case
) -> None:
    card = HostileCard(case.malice)
    with inserted(card, pcscd), pytest.raises(CardError) as failed:
        await read_all(reader)
    assert card.harms
    assert str(failed.value) == case.error
    assert card.commands <= case.commands
    wait_for_card(pcscd, present=False)
    with inserted(simulated_card(), pcscd):
        assert await read_all(reader) == 2


@pytest.mark.parametrize("size", [257, 4000, 60_000])
async def test_more_bytes_than_asked_for_get_no_further_than_the_reader(
    reader: PcscReader, pcscd: Pcscd, size: int
) -> None:
    card = HostileCard(reading(ODF, lambda _: b"\x30" * size + b"\x90\x00"))
    with inserted(card, pcscd):
        with pytest.raises((CardGarbled, CardMute)):
            await read_all(reader)
        assert card.harms


@pytest.mark.parametrize("atr", ["3B", "00" * 40, "FF" * 33, "3B" + "FF" * 60, "3BFF" + "FF" * 31])
async def test_an_answer_to_reset_that_is_none_opens_nothing(reader: PcscReader, pcscd: Pcscd, atr: str) -> None:
    card = HostileCard(Malice(answer=lambda: lambda _: b"\x6d\x00", atr=bytes.fromhex(atr)))
    with inserted(card, pcscd):
        begun = time.monotonic()
        with pytest.raises(CardError):
            await read_all(reader)
        assert time.monotonic() - begun < LIMIT


class SlowCard(HostileCard):
    """Takes its time for each command, and never comes to an end."""

    def __init__(self) -> None:
        super().__init__(reading(ODF, lambda _: b"\x30" * 255 + b"\x61\xff"))

    def process(self, apdu: bytes) -> bytes:
        time.sleep(PAUSE)
        return super().process(apdu)


async def test_a_slow_card_loses_its_reader_with_its_time(reader: PcscReader, pcscd: Pcscd) -> None:
    """Not only is the caller told: no command goes out any more, and the reader is free for the next."""
    card = SlowCard()
    with inserted(card, pcscd):
        with pytest.raises(CardTimeout):
            await read_all(reader, timeout=DEADLINE)
        await until_free(reader)
        assert card.commands <= DEADLINE / PAUSE + 1
        assert card.harms


async def until_free(reader: PcscReader) -> None:
    """Return when the reader takes jobs again, which is at most one command later."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await reader.run(lambda _: None, timeout=LIMIT)
            except CardTimeout:
                await asyncio.sleep(PAUSE / 10)


async def test_a_card_that_never_answers_is_given_up_in_time_and_the_next_one_is_read(
    reader: PcscReader, pcscd: Pcscd
) -> None:
    let_go = threading.Event()

    def silent(exchange: Exchange) -> bytes | None:
        if exchange.instruction == READ:
            let_go.wait(LIMIT)
        return None

    card = HostileCard(Malice(answer=lambda: silent))
    begun = time.monotonic()
    try:
        with inserted(card, pcscd):
            with pytest.raises(CardTimeout):
                await read_all(reader, timeout=DEADLINE)
            assert time.monotonic() - begun < LIMIT / 2
            let_go.set()
    finally:
        let_go.set()
    await until_free(reader)
    wait_for_card(pcscd, present=False)
    with inserted(simulated_card(), pcscd):
        assert await read_all(reader) == 2
