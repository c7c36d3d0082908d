"""What is recorded of acts that come to nothing: each caller's, each reason's, and not each try."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from cardd.core.recording import CountedRefusals, RecordedWork, Recordings, entry_of, recorded
from cardd.errors import AuditSlow, CardAbsent, CardMute, CardTimeout, ConsentRefused
from cardd.model import AuditEntry, AuditRow
from tests.core.conftest import CALLER, OTHER, PIN, Core
from tests.rig.memory import MemoryAudit
from tests.rig.waiting import eventually

TRIES = 300


def has_rows(audit: MemoryAudit, count: int) -> bool:
    return len(audit.entries) == count


async def refused(core: Core, times: int) -> None:
    tries = [core.login.open(CALLER, None) for _ in range(times)]
    for error in await asyncio.gather(*tries, return_exceptions=True):
        assert isinstance(error, CardAbsent)


async def test_logins_that_are_refused_again_and_again_are_one_row_and_a_count(core: Core) -> None:
    core.reader.remove()
    await eventually(lambda: not core.readers.cards())
    await refused(core, TRIES)
    with pytest.raises(CardAbsent):
        await core.login.open(OTHER, None)
    assert [(entry.caller, entry.code) for entry in core.audit.entries] == [
        (CALLER.id, "card.absent"),
        (OTHER.id, "card.absent"),
    ]
    await core.stop()
    assert core.audit.entries[-1].document == f"times:{TRIES - 1}"
    assert core.audit.entries[-1].caller == CALLER.id


async def test_a_login_that_succeeds_is_a_row_each_time(core: Core) -> None:
    core.person.pins = [PIN] * 3
    for _ in range(3):
        session, _ = await core.login.open(CALLER, None)
        core.sessions.close(session, "logout")
    assert core.audit.acts() == ["session.open done"] * 3


async def test_who_waits_for_a_slow_card_is_told_of_the_disk_only_where_that_card_s_thread_waits_for_it() -> None:
    audit = MemoryAudit()
    recordings = Recordings(audit, 0.01)
    writes: RecordedWork[bytes] = recordings.begin("first reader")
    audit.disk.clear()
    writing = asyncio.create_task(asyncio.to_thread(writes.record, b"value", [entry_of(CALLER, "signature.raw")]))
    await eventually(lambda: bool(recordings.writing))

    async def late() -> bytes:
        raise CardTimeout(seconds=5)

    same: RecordedWork[bytes] = recordings.begin("first reader")
    with pytest.raises(AuditSlow):
        await same.result(late())
    other: RecordedWork[bytes] = recordings.begin("second reader")
    with pytest.raises(CardTimeout):
        await other.result(late())
    audit.disk.set()
    assert await writing == b"value"


async def test_each_minute_of_refusals_has_its_row() -> None:
    audit = MemoryAudit()
    counted = CountedRefusals(audit, minute=0.05)
    entry = entry_of(CALLER, "session.open")

    async def refuse() -> None:
        with pytest.raises(CardAbsent):
            async with recorded(counted, entry):
                raise CardAbsent

    for times in (1, 2, 3):
        await refuse()
        await refuse()
        await eventually(partial(has_rows, audit, times + 1))
    assert [entry.document for entry in audit.entries] == [None, "times:1", "times:2", "times:2"]
    await counted.stop()


async def test_a_refused_document_is_a_row_of_its_own() -> None:
    audit = MemoryAudit()
    counted = CountedRefusals(audit)
    for name in ("a.pdf", "b.pdf"):
        with pytest.raises(ConsentRefused):
            async with recorded(counted, entry_of(CALLER, "signature.pades", document=name)):
                raise ConsentRefused
    assert [entry.document for entry in audit.entries] == ["a.pdf", "b.pdf"]


async def test_a_full_disk_is_told_each_time_and_counts_nothing() -> None:
    audit = MemoryAudit()
    audit.is_full = True
    counted = CountedRefusals(audit)
    async with asyncio.timeout(5):
        for _ in range(2):
            with pytest.raises(CardAbsent):
                async with recorded(counted, entry_of(CALLER, "session.open")):
                    raise CardAbsent
    audit.is_full = False
    with pytest.raises(CardAbsent):
        async with recorded(counted, entry_of(CALLER, "session.open")):
            raise CardAbsent
    assert [entry.document for entry in audit.entries] == [None]
    await counted.stop()


class HangingAudit(MemoryAudit):
    """Takes rows once ``disk`` is set, and not before."""

    async def append(self, entry: AuditEntry) -> AuditRow:
        await asyncio.to_thread(self.disk.wait, 10)
        return await super().append(entry)


async def test_a_disk_that_hangs_keeps_nobody_from_hearing_why_it_failed_and_gets_the_row_later() -> None:
    audit = HangingAudit()
    audit.disk.clear()
    with pytest.raises(CardMute):
        async with asyncio.timeout(5), recorded(audit, entry_of(CALLER, "signature.raw"), patience=0.05):
            raise CardMute
    assert audit.acts() == []
    audit.disk.set()
    await eventually(lambda: bool(audit.entries))
    assert audit.entries[0].code == "card.mute"
