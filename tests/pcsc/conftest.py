"""A real pcscd of the test's own, a source of readers that watches it, and a connection to its first slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from cardd.core.readers import DriverRegistry
from cardd.errors import CardTimeout
from cardd.pcsc import PcscReaders
from cardd.pcsc.channel import PcscConnection
from cardd.pcsc.winscard import EventState, WinScard
from tests.pcsc.recorder import Recorder
from tests.rig.here import use_here
from tests.rig.pcscd import Pcscd
from tests.rig.vcard import CPS3_ATR, Answer, VirtualCard, always_ok

T = TypeVar("T")
Insert = Callable[..., VirtualCard]


@pytest.fixture
def stopped_pcscd(tmp_path: Path) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path)
    use_here(pcscd)
    yield pcscd
    pcscd.stop()


@pytest.fixture
def pcscd(stopped_pcscd: Pcscd) -> Pcscd:
    stopped_pcscd.start()
    return stopped_pcscd


@pytest.fixture
async def recorder(pcscd: Pcscd) -> AsyncIterator[Recorder]:
    """Watches a pcscd that runs; the reports of the start are taken already."""
    source = PcscReaders()
    recorder = Recorder(source)
    await source.start(recorder)
    await recorder.take(3)
    yield recorder
    await source.stop()


@pytest.fixture
def insert(pcscd: Pcscd) -> Iterator[Insert]:
    """Puts a card into a slot and returns when pcscd has seen it."""
    cards: list[VirtualCard] = []

    def put(answer: Answer = always_ok, atr: bytes = CPS3_ATR, *, slot: int = 0) -> VirtualCard:
        card = VirtualCard(pcscd.ports[slot], answer, atr)
        cards.append(card)
        card.insert()
        wait_for(pcscd.reader_names[slot], EventState.PRESENT)
        return card

    yield put
    for card in cards:
        card.pull()


@pytest.fixture
def connection(pcscd: Pcscd) -> Iterator[PcscConnection]:
    connection = PcscConnection(pcscd.reader_names[0], WinScard(), "fr", DriverRegistry([]).open)
    yield connection
    connection.disconnect()


def wait_for(reader: str, state: int) -> None:
    """Return when pcscd shows the reader in this state."""
    winscard = WinScard()
    context = winscard.establish()
    seen = 0
    while not seen & state:
        states = winscard.wait(context, [(reader, seen)], 10_000)
        assert states, f"{reader} does not come to state {state:#x}"
        seen = states[0].event
    winscard.release(context)


async def when_free(run: Callable[[], Awaitable[T]]) -> T:
    """The result of ``run`` once the hanging job before it has ended."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(CardTimeout):
                return await run()
            await asyncio.sleep(0.001)
