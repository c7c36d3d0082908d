"""What a card's thread signs counts once its row is on disk: what its caller is told when card or disk are late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence

import pytest

from cardd.core.recording import RecordedWork, Recordings, append_if_possible, ensure_recordable, entry_of
from cardd.errors import AuditSlow, AuditUnavailable, CarddError, CardMute, CardTimeout, StateUnavailable
from cardd.model import AuditEntry, AuditRow, Receipt
from cardd.request import Request, Step, Where, working_on
from cardd.values import replace
from tests.core.conftest import CALLER
from tests.rig.memory import JumpingLoop, ManualClock, MemoryAudit
from tests.rig.waiting import eventually

ENTRY = entry_of(CALLER, "signature.raw")


class Disk(MemoryAudit):
    """A disk that takes a row when the test says so, or fails then by its ``fault``."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: CarddError | None = None

    def write(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> None:
        super().write(entries, receipt)
        if self.fault:
            raise self.fault


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.disk.set()


async def late() -> bytes:
    raise CardTimeout(seconds=5)


async def mute() -> bytes:
    raise CardMute


def on_thread(work: RecordedWork[bytes], receipt: Receipt | None = None) -> Awaitable[bytes]:
    """Have a card's thread record what the card has signed."""
    return asyncio.ensure_future(asyncio.to_thread(work.record, b"value", [ENTRY], receipt))


async def test_what_the_card_made_is_returned_once_its_row_and_its_receipt_are_written(disk: Disk) -> None:
    work: RecordedWork[bytes] = Recordings(disk, 5).begin("reader")
    receipt = Receipt(b"name", b"asked", ManualClock().now())
    assert await work.result(on_thread(work, receipt)) == b"value"
    assert disk.entries == [ENTRY]
    assert disk.receipts == {b"name": replace(receipt, row=1)}


async def test_what_the_card_made_is_nobodys_where_its_row_cannot_be_written(disk: Disk) -> None:
    disk.is_full = True
    recordings = Recordings(disk, 5)
    work: RecordedWork[bytes] = recordings.begin("reader")
    with pytest.raises(AuditUnavailable):
        await work.result(on_thread(work))
    assert not recordings.writing


async def test_who_was_told_that_the_card_is_late_gets_what_it_had_made_when_the_disk_takes_the_row(
    disk: Disk,
) -> None:
    recordings = Recordings(disk, 20)
    work: RecordedWork[bytes] = recordings.begin("reader")
    disk.disk.clear()
    thread = on_thread(work)
    await eventually(lambda: bool(recordings.writing))
    waits = asyncio.ensure_future(work.result(late()))
    await asyncio.sleep(0)
    assert not waits.done()
    disk.disk.set()
    assert await asyncio.wait_for(waits, 5) == b"value"
    assert disk.entries == [ENTRY]
    assert await thread == b"value"
    assert not recordings.writing


async def test_who_was_told_that_the_card_is_late_hears_why_the_disk_did_not_take_the_row(disk: Disk) -> None:
    recordings, fault = Recordings(disk, 20), AuditUnavailable(why="the disk is full")
    work: RecordedWork[bytes] = recordings.begin("reader")
    disk.disk.clear()
    thread = on_thread(work)
    await eventually(lambda: bool(recordings.writing))
    waits = asyncio.ensure_future(work.result(late()))
    await asyncio.sleep(0)
    disk.fault = fault
    disk.disk.set()
    for told in (waits, thread):
        with pytest.raises(AuditUnavailable) as raised:
            await asyncio.wait_for(told, 5)
        assert raised.value is fault


async def test_a_row_that_was_written_before_the_card_was_found_late_is_told_at_once(disk: Disk) -> None:
    work: RecordedWork[bytes] = Recordings(disk, 20).begin("reader")
    await on_thread(work)
    assert await asyncio.wait_for(work.result(late()), 5) == b"value"


async def test_a_card_that_made_nothing_is_late_and_one_that_is_mute_is_mute_whatever_it_made(disk: Disk) -> None:
    recordings = Recordings(disk, 5)
    nothing: RecordedWork[bytes] = recordings.begin("reader")
    with pytest.raises(CardTimeout):
        await nothing.result(late())
    signed: RecordedWork[bytes] = recordings.begin("reader")
    await on_thread(signed)
    with pytest.raises(CardMute):
        await signed.result(mute())


async def test_a_disk_that_dawdles_too_long_is_told_of_with_how_long_it_was_waited_for(disk: Disk) -> None:
    recordings = Recordings(disk, 0.6)
    work: RecordedWork[bytes] = recordings.begin("reader")
    disk.disk.clear()
    thread = on_thread(work)
    await eventually(lambda: bool(recordings.writing))
    with pytest.raises(AuditSlow) as told:
        await work.result(late())
    assert told.value.params == {"seconds": 1}
    assert told.value.__suppress_context__
    disk.disk.set()
    assert await thread == b"value"


def test_who_has_nothing_signed_does_not_wait_for_the_disk_of_another(disk: Disk) -> None:
    async def waited() -> float:
        recordings = Recordings(disk, 5)
        recordings.writing.add("reader")
        work: RecordedWork[bytes] = recordings.begin("reader")
        with pytest.raises(AuditSlow):
            await work.result(late())
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        assert runner.run(waited()) == 0


async def test_who_waits_for_a_slow_card_is_told_of_the_disk_only_where_that_card_s_thread_waits_for_it(
    disk: Disk,
) -> None:
    recordings = Recordings(disk, 0.01)
    writes: RecordedWork[bytes] = recordings.begin("first reader")
    disk.disk.clear()
    writing = on_thread(writes)
    await eventually(lambda: bool(recordings.writing))
    same: RecordedWork[bytes] = recordings.begin("first reader")
    with pytest.raises(AuditSlow):
        await same.result(late())
    other: RecordedWork[bytes] = recordings.begin("second reader")
    with pytest.raises(CardTimeout):
        await other.result(late())
    disk.disk.set()
    assert await writing == b"value"


class Watch:
    """Notes the steps of a request."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, Where]] = []

    def stepped(self, _request: Request, step: Step) -> None:
        self.steps.append((step.kind, step.where))

    def spent(self, where: Where, seconds: float) -> None: ...


async def test_the_time_of_the_disk_is_a_step_of_the_request(disk: Disk) -> None:
    watch = Watch()
    with working_on(Request(watcher=watch)):
        work: RecordedWork[bytes] = Recordings(disk, 5).begin("reader")
        await on_thread(work)
    assert watch.steps == [("disk", Where.DAEMON)]


# --- whether a row could be written, and rows that nobody depends on


class Hanging(MemoryAudit):
    """A disk that never answers."""

    async def ensure_writable(self) -> None:
        await asyncio.Event().wait()


async def test_a_disk_that_dawdles_lets_the_act_begin_and_a_full_one_does_not(disk: Disk) -> None:
    async with asyncio.timeout(5):
        await ensure_recordable(Hanging(), patience=0.01)
    disk.is_full = True
    with pytest.raises(AuditUnavailable):
        await ensure_recordable(disk)


class Refusing(MemoryAudit):
    """Cannot be reached by one of two ways."""

    def __init__(self, fault: CarddError) -> None:
        super().__init__()
        self._fault = fault

    async def append(self, entry: AuditEntry) -> AuditRow:
        raise self._fault


@pytest.mark.parametrize("fault", [AuditUnavailable(why="the disk is full"), StateUnavailable(file="audit", why="EIO")])
async def test_a_row_that_nobody_depends_on_is_left_out_where_it_cannot_be_written(fault: CarddError) -> None:
    await append_if_possible(Refusing(fault), ENTRY, ENTRY)


async def test_rows_that_nobody_depends_on_are_all_written_where_they_can(disk: Disk) -> None:
    other = entry_of(CALLER, "signature.pades")
    await append_if_possible(disk, ENTRY, other)
    assert disk.entries == [ENTRY, other]
