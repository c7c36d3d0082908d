"""A reader over real pcscd: hung cards, cards that others hold, readers that are gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from cardd.apdu import Command
from cardd.core.registry import DriverRegistry
from cardd.errors import CardTimeout, ReaderBusy, ReaderGone
from cardd.pcsc.readers import PcscReader
from cardd.pcsc.winscard import WinScard
from cardd.ports import CardConnection
from tests.pcsc.conftest import Insert, when_free
from tests.rig import other_program
from tests.rig.pcscd import Pcscd


@pytest.fixture
async def reader(pcscd: Pcscd) -> AsyncIterator[PcscReader]:
    reader = PcscReader(pcscd.reader_names[0], WinScard(), "fr", DriverRegistry([]).open)
    yield reader
    await reader.close()


def ask(connection: CardConnection) -> int:
    connection.begin()
    try:
        return connection.transmit(Command(0x00, 0xB0, 0x00, 0x00, le=1)).sw
    finally:
        connection.end(reset=True)


async def test_a_hung_card_times_out_and_serves_again_when_it_comes_round(reader: PcscReader, insert: Insert) -> None:
    release = threading.Event()

    def hang(_apdu: bytes) -> bytes:
        release.wait(10)
        return b"\x90\x00"

    await asyncio.to_thread(insert, hang)
    for timeout in (0.2, 5):  # the second is told at once
        with pytest.raises(CardTimeout):
            await reader.run(ask, timeout=timeout)
    release.set()
    assert await when_free(lambda: reader.run(ask, timeout=5)) == 0x9000


@pytest.mark.parametrize("action", ["hold", "exclusive"])
async def test_a_card_that_another_program_holds_is_busy(
    reader: PcscReader, insert: Insert, pcscd: Pcscd, action: str
) -> None:
    await asyncio.to_thread(insert)
    with other_program.holding(pcscd, reader.name, action):
        with pytest.raises(ReaderBusy) as caught:
            await reader.run(ask, timeout=0.3)
        assert caught.value.params["reader"] == reader.name


async def test_a_closed_reader_is_gone(reader: PcscReader, insert: Insert) -> None:
    await asyncio.to_thread(insert)
    assert await reader.run(ask, timeout=5) == 0x9000
    await reader.close()
    with pytest.raises(ReaderGone):
        await reader.run(ask, timeout=5)


async def test_a_reader_that_pcsc_does_not_know_is_gone(pcscd: Pcscd) -> None:
    reader = PcscReader("No such reader 00 00", WinScard(), "fr", DriverRegistry([]).open)
    with pytest.raises(ReaderGone) as caught:
        await reader.run(ask, timeout=5)
    assert caught.value.params["reader"] == "No such reader 00 00"
    await reader.close()
