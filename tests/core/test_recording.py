"""What is recorded of acts that come to nothing: each caller's, each reason's, and not each try."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial

import pytest

from cardd.core.recording import STRANGERS, CountedRefusals, Pseudonyms, entry_of, recorded
from cardd.errors import (
    AuditUnavailable,
    CardAbsent,
    CarddError,
    CardMute,
    ConsentRefused,
    PinWrong,
    StateDamaged,
    StateUnavailable,
)
from cardd.model import AuditEntry, AuditRow, Caller, CallerKind, Outcome, Peer, Receipt
from cardd.request import Request, working_on
from cardd.values import replace
from tests.core.conftest import CALLER, OTHER, PIN, Core
from tests.rig.memory import JumpingLoop, ManualClock, MemoryAudit, MemoryStore
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


# --- how an act ended


def test_an_acts_entry_has_who_asked_and_all_that_is_known_of_it() -> None:
    told = entry_of(
        CALLER, "signature.raw", session="one", digest=b"\x0a\xff", document="a.pdf", certificate="0b", consent="dialog"
    )
    assert told == AuditEntry(
        action="signature.raw",
        outcome=Outcome.DONE,
        uid=1000,
        caller="lps-1",
        caller_name="LPS de test",
        session="one",
        digest="0aff",
        document="a.pdf",
        certificate="0b",
        consent="dialog",
    )
    assert entry_of(CALLER, "origin.list") == AuditEntry("origin.list", Outcome.DONE, 1000, "lps-1", "LPS de test")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConsentRefused(), Outcome.REFUSED),
        (PinWrong(tries_left=2), Outcome.REFUSED),
        (CardMute(), Outcome.FAILED),
    ],
)
async def test_each_act_that_came_to_nothing_is_a_row_that_says_whether_a_person_refused(
    error: CarddError, outcome: Outcome
) -> None:
    audit, entries = MemoryAudit(), [entry_of(CALLER, "signature.raw", digest=bytes([one])) for one in (1, 2)]
    with pytest.raises(type(error)):
        async with recorded(audit, *entries):
            raise error
    assert audit.entries == [replace(entry, outcome=outcome, code=error.code) for entry in entries]


# --- what is counted, and under whose name


def refused_once(caller: Caller, **more: str) -> AuditEntry:
    return replace(entry_of(caller, "session.open"), outcome=Outcome.REFUSED, code="pin.wrong", **more)


def stranger(uid: int) -> Caller:
    """Return an OS user of a person who has many of them."""
    return Caller(CallerKind.LOCAL, f"local:{uid}", f"local:{uid}", "", Peer(uid))


async def counted_rows(audit: MemoryAudit, *entries: AuditEntry) -> list[AuditEntry]:
    """Return what is recorded of these, with the counts that are due at the end."""
    counted = CountedRefusals(audit)
    for entry in entries:
        await counted.append(entry)
    await counted.stop()
    return audit.entries


def times(entry: AuditEntry, count: int) -> AuditEntry:
    return replace(entry, document=f"times:{count}", session=None, request=None)


@pytest.mark.parametrize("change", [{"action": "session.lock"}, {"code": "pin.blocked"}, {"certificate": "0a"}])
async def test_what_is_refused_otherwise_is_counted_by_itself(change: dict[str, str]) -> None:
    one = refused_once(CALLER)
    other = replace(one, **change)
    rows = await counted_rows(MemoryAudit(), one, other, one, other, one)
    assert rows == [one, other, times(one, 2), times(other, 1)]


async def test_the_same_program_of_another_user_is_counted_by_itself() -> None:
    one, other = refused_once(CALLER), replace(refused_once(CALLER), uid=1001)
    assert await counted_rows(MemoryAudit(), one, other) == [one, other]


@pytest.mark.parametrize("action", ["holder.read", "origin.list", "session.lock", "agent.register", "agent.leave"])
async def test_acts_that_ask_nobody_are_counted_too(action: str) -> None:
    entry = entry_of(CALLER, action, session="one")
    assert await counted_rows(MemoryAudit(), entry, entry, entry) == [entry, times(entry, 2)]


async def test_what_was_done_to_a_document_is_a_row_each_time() -> None:
    entries = [entry_of(CALLER, "holder.read", document="a.pdf"), entry_of(CALLER, "holder.read", digest=b"\1")] * 2
    assert await counted_rows(MemoryAudit(), *entries) == entries


def test_what_is_refused_again_after_a_minute_without_is_a_row_again() -> None:
    async def refused_at(*seconds: float) -> list[AuditEntry]:
        audit = MemoryAudit()
        counted = CountedRefusals(audit)
        for at in seconds:
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            await counted.append(refused_once(CALLER))
        await asyncio.sleep(61)
        return audit.entries

    one = refused_once(CALLER)
    for seconds, rows in (((1, 62), [one, one]), ((1, 60), [one, times(one, 1)]), ((1, 2, 3), [one, times(one, 2)])):
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            assert runner.run(refused_at(*seconds)) == rows


class Failing(MemoryAudit):
    """A log that takes no row any more once it has a ``fault``."""

    fault: CarddError | None = None

    async def append(self, entry: AuditEntry) -> AuditRow:
        if self.fault:
            raise self.fault
        return await super().append(entry)


@pytest.mark.parametrize("fault", [AuditUnavailable(why="the disk is full"), StateUnavailable(file="audit", why="EIO")])
async def test_a_count_that_cannot_be_written_keeps_nobody_from_stopping(fault: CarddError) -> None:
    audit = Failing()
    counted = CountedRefusals(audit)
    for _ in range(2):
        await counted.append(refused_once(CALLER))
    audit.fault = fault
    await counted.stop()
    assert audit.entries == [refused_once(CALLER)]


async def test_many_users_of_one_person_are_counted_together_and_neither_those_before_nor_programs() -> None:
    first = [refused_once(stranger(uid)) for uid in range(100_000, 100_000 + STRANGERS)]
    more = [refused_once(stranger(200_000 + number), certificate=f"{number}") for number in range(3)]
    together = replace(more[0], caller="local:*", caller_name="local:*", certificate=None)
    paired = refused_once(CALLER)
    rows = await counted_rows(MemoryAudit(), *first, *more, first[0], paired)
    assert rows == [*first, together, paired, times(first[0], 1), times(together, 2)]


async def test_a_row_names_its_request_and_whoever_wants_to_hears_of_each_but_of_no_count() -> None:
    audit, heard = MemoryAudit(), list[AuditEntry]()
    counted = CountedRefusals(audit, told=heard.append)
    refused, done = refused_once(CALLER), entry_of(CALLER, "signature.raw", session="one", digest=b"1")
    own = replace(done, request="of another")
    receipt = Receipt(b"name", b"asked", ManualClock().now())
    with working_on(Request(id="this one")):
        for entry in (refused, refused, own):
            await counted.append(entry)
        counted.write([done, own], receipt)
    named, written = replace(refused, request="this one"), replace(done, request="this one")
    assert audit.entries == [named, own, written, own]
    assert heard == [named, named, own, written, own]
    await counted.stop()
    assert audit.entries[-1] == times(refused, 1)
    assert len(heard) == 5
    kept = replace(receipt, row=3)
    assert (counted.find(b"name"), await counted.receipt(b"name")) == (kept, kept)
    assert (counted.find(b"other"), await counted.receipt(b"other")) == (None, None)
    assert [row.entry for row in await counted.tail(CALLER.peer.uid, 2)] == audit.entries[-2:]
    assert await counted.tail(CALLER.peer.uid + 1, 2) == []


# --- pseudonyms


def test_a_number_has_one_pseudonym_here_and_another_elsewhere() -> None:
    store = MemoryStore()
    here = Pseudonyms(store)
    pseudonym = here.of("185059999900181")
    assert re.fullmatch("[0-9a-f]{16}", pseudonym)
    assert here.of("185059999900181") == Pseudonyms(store).of("185059999900181") == pseudonym
    assert here.of("185059999900182") != pseudonym
    assert Pseudonyms(MemoryStore()).of("185059999900181") != pseudonym


def test_a_key_of_another_length_is_no_key() -> None:
    store = MemoryStore()
    for size in (31, 33):
        store.documents["pseudonyms"] = json.dumps({"format": 1, "key": "ab" * size})
        with pytest.raises(StateDamaged):
            Pseudonyms(store).of("185059999900181")
