"""The readers of this machine as PC/SC shows them, and jobs on a reader's thread."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from cardd.apdu import Command
from cardd.core.readers import DriverRegistry
from cardd.errors import CardTimeout, ReaderBusy, ReaderGone
from cardd.pcsc import PcscReaders
from cardd.pcsc.channel import PcscReader
from cardd.pcsc.readers import STOP_LIMIT
from cardd.pcsc.winscard import EventState, ReaderState, WinScard
from cardd.ports import CardConnection, ReaderSource
from tests.pcsc.conftest import Insert, wait_for, when_free
from tests.pcsc.recorder import Recorder
from tests.rig import other_program
from tests.rig.here import use_here
from tests.rig.pcscd import Pcscd
from tests.rig.vcard import CPS3_ATR, MUTE_ATR, T1_EXTENDED_ATR, VirtualCard

ATR = CPS3_ATR.hex().upper()


async def test_readers_and_cards_that_are_there_already_are_told_at_start(pcscd: Pcscd, insert: Insert) -> None:
    first, second = pcscd.reader_names
    await asyncio.to_thread(insert)
    source: ReaderSource = PcscReaders()
    assert isinstance(source, PcscReaders)
    recorder = Recorder(source)
    await source.start(recorder)
    told = await recorder.take(4)
    assert told == [("available", True), ("added", first), ("added", second), ("in", first, ATR)]
    await source.stop()


async def test_insertion_and_removal_are_told_within_a_millisecond_of_pcsc(recorder: Recorder, pcscd: Pcscd) -> None:
    slot = pcscd.reader_names[0]
    card = VirtualCard(pcscd.ports[0])
    for _ in range(3):
        card.insert()
        assert await recorder.take(1) == [("in", slot, ATR)]
        card.pull()
        assert await recorder.take(1) == [("out", slot)]
    assert min(recorder.delays) < 0.001
    assert median(recorder.delays) < 0.2  # a loaded machine may be late now and then; who polls is late each time


async def test_two_devices_with_two_slots_each_are_told_apart(tmp_path: Path) -> None:
    pcscd = Pcscd(tmp_path, devices=2)
    use_here(pcscd)
    pcscd.start()
    source = PcscReaders()
    recorder = Recorder(source)
    await source.start(recorder)
    names = pcscd.reader_names
    assert sorted(map(str, await recorder.take(5))) == sorted(
        map(str, [("available", True), *(("added", name) for name in names)])
    )
    atrs = [CPS3_ATR, T1_EXTENDED_ATR] * 2
    cards = [VirtualCard(port, atr=atr) for port, atr in zip(pcscd.ports, atrs, strict=True)]
    for card in cards:
        card.insert()
    told = await recorder.take(4)
    assert set(told) == {("in", name, atr.hex().upper()) for name, atr in zip(names, atrs, strict=True)}
    cards[3].pull()
    assert await recorder.take(1) == [("out", names[3])]
    for card in cards:
        card.pull()
    await source.stop()
    pcscd.stop()


class GatedScard(WinScard):
    """PC/SC that returns from a wait only while its gate is open, so that things happen unseen."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def wait(self, context: int, states: Sequence[tuple[str, int]], timeout: int) -> list[ReaderState] | None:
        found = super().wait(context, states, timeout)
        self.gate.wait(10)
        return found


async def test_a_card_swapped_faster_than_we_look_is_told_as_removed_and_inserted(pcscd: Pcscd, insert: Insert) -> None:
    slot = pcscd.reader_names[0]
    gated = GatedScard()
    source = PcscReaders(winscard=gated)
    recorder = Recorder(source)
    await source.start(recorder)
    await recorder.take(3)
    card = await asyncio.to_thread(insert)
    assert await recorder.take(1) == [("in", slot, ATR)]
    gated.gate.clear()
    other_slot = await asyncio.to_thread(insert, slot=1)  # its event holds the monitor at the gate
    card.pull()
    await asyncio.to_thread(wait_for, slot, EventState.EMPTY)
    await asyncio.to_thread(insert, atr=T1_EXTENDED_ATR)
    gated.gate.set()
    told = await recorder.take(3)
    assert [item for item in told if item[1] == slot] == [("out", slot), ("in", slot, T1_EXTENDED_ATR.hex().upper())]
    other_slot.pull()
    await source.stop()


async def test_a_mute_card_is_told_without_an_atr(recorder: Recorder, pcscd: Pcscd) -> None:
    card = VirtualCard(pcscd.ports[0], atr=MUTE_ATR)
    card.insert()
    assert await recorder.take(1) == [("in", pcscd.reader_names[0], "")]
    card.pull()
    assert await recorder.take(1) == [("out", pcscd.reader_names[0])]


def atr_of(connection: CardConnection) -> bytes:
    connection.begin()
    connection.end(reset=False)
    return connection.atr


async def test_pcscd_killed_takes_cards_and_readers_along_and_all_come_back_with_it(
    recorder: Recorder, pcscd: Pcscd
) -> None:
    first, second = pcscd.reader_names
    card = VirtualCard(pcscd.ports[0])
    card.insert()
    assert await recorder.take(1) == [("in", first, ATR)]
    old = recorder.readers[first]
    pcscd.stop()
    gone = await recorder.take(4)
    assert gone == [("available", False), ("out", first), ("removed", first), ("removed", second)]
    pcscd.start()
    assert await recorder.take(3) == [("available", True), ("added", first), ("added", second)]
    card.insert()
    assert await recorder.take(1) == [("in", first, ATR)]
    assert recorder.readers[first] is not old
    anew = recorder.readers[first]
    assert isinstance(anew, PcscReader)
    assert await anew.run(atr_of, timeout=5) == CPS3_ATR
    card.pull()


async def test_pcscd_absent_at_start_is_told_once_and_found_when_it_comes(
    stopped_pcscd: Pcscd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cardd.pcsc.watch")
    source = PcscReaders()
    recorder = Recorder(source)
    await source.start(recorder)
    assert await recorder.take(1) == [("available", False)]
    await asyncio.sleep(0.4)  # the first new look at it falls into this time
    assert recorder.is_quiet
    assert len(caplog.records) == 1
    stopped_pcscd.start()
    first, second = stopped_pcscd.reader_names
    assert await recorder.take(3) == [("available", True), ("added", first), ("added", second)]
    await source.stop()


async def test_stop_is_prompt_and_nothing_is_told_after_it(recorder: Recorder, pcscd: Pcscd) -> None:
    source = recorder.source
    begun = time.monotonic()
    await source.stop()
    assert time.monotonic() - begun < STOP_LIMIT  # which is for a service that hangs
    card = VirtualCard(pcscd.ports[0])
    card.insert()
    await asyncio.to_thread(wait_for, pcscd.reader_names[0], EventState.PRESENT)
    assert recorder.is_quiet
    card.pull()


PROGRAM = """
import asyncio, os, signal, sys, time
from cardd.pcsc import PcscReaders
class Listener:
    def readers_available(self, available): print("available", available, flush=True)
    def reader_added(self, reader, user=None): print("added", reader.name, flush=True)
async def main():
    source = PcscReaders()
    await source.start(Listener())
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, sys.stdin)
    await asyncio.sleep(float(sys.argv[1]))
    if sys.argv[2:] == ["stop"]:
        await source.stop()
asyncio.run(main())
"""


def run_program(pcscd: Pcscd, *arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """A process of its own that watches readers as the daemon does."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, **pcscd.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_an_idle_process_makes_no_system_call_at_all(pcscd: Pcscd, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    process = run_program(pcscd, "5", before=["strace", "-f", "-ttt", "-o", str(trace)])
    process.communicate(timeout=30)
    times = [float(line.split()[1]) for line in trace.read_text().splitlines()]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert max(pauses) > 3.5  # 5 s, less the start and the second in which the list of readers settles


def test_a_service_that_hangs_keeps_neither_stop_nor_the_exit(pcscd: Pcscd) -> None:
    process = run_program(pcscd, "0.5", "stop")
    assert process.stdout
    assert process.stdout.readline() == b"available True\n"
    os.kill(pcscd.pid, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        process.communicate(timeout=20)
        assert process.returncode == 0
        assert time.monotonic() - begun < 5
    finally:
        os.kill(pcscd.pid, signal.SIGCONT)


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
        assert caught.value.params["who"] == "unknown"


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
