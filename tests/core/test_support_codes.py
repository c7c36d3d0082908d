"""What support's codes count, forget and write down, without a server around them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from cardd.config import Support
from cardd.core.support import (
    COUNTS_MAX,
    ENROLMENT_LIFETIME,
    FREE_MISTAKES,
    LOCK_FIRST,
    SECRET,
    STORE,
    Privilege,
    SupportCodes,
)
from cardd.errors import (
    StateUnavailable,
    SupportCodeLocked,
    SupportCodeReplayed,
    SupportCodeWrong,
    SupportNotEnrolled,
    SupportSecretFixed,
)
from cardd.model import Caller, CallerKind, Outcome, Peer
from tests.rig.memory import ManualClock, MemoryAudit, MemorySecrets, MemoryStore
from tests.rig.phone import STEP, Phone

FIRST, ROOT = 1000, 0
FREE = FREE_MISTAKES - 1  # wrong codes that lock nobody


def caller(uid: int) -> Caller:
    return Caller(CallerKind.LOCAL, f"local:{uid}", "cardctl", f"urn:cardd:local:{uid}", Peer(uid))


@dataclass
class Workstation:
    """One that demands codes, or does not, at the begin of a step."""

    demands: bool = True
    store: MemoryStore = field(default_factory=MemoryStore)
    secrets: MemorySecrets = field(default_factory=MemorySecrets)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 12, 1, tzinfo=UTC)))

    def __post_init__(self) -> None:
        rules = Support(totp=self.demands)
        self.codes = SupportCodes(self.store, self.secrets, self.audit, self.clock, rules, host="SIMULATION")

    async def enrolled(self) -> Phone:
        """The phone, of which no code of this step or the one before serves."""
        enrolment = await self.codes.enrol(caller(ROOT), None)
        assert enrolment.expires_at == self.clock.now() + timedelta(seconds=ENROLMENT_LIFETIME)
        phone = Phone(enrolment.address)
        await self.codes.confirm(caller(ROOT), phone.code(self.clock.now()))
        return phone

    async def unlocks(self, uid: int, code: str) -> None:
        """Have this user unlock a program."""
        await self.codes.demand(Privilege.UNLOCK, caller(uid), code)

    async def mistakes(self, uid: int, phone: Phone, times: int) -> None:
        """Give so many wrong codes as this user; none is refused for those before."""
        for _ in range(times):
            with pytest.raises(SupportCodeWrong):
                await self.unlocks(uid, phone.other_code(self.clock.now()))


async def test_of_too_many_counts_the_one_that_locks_least_is_forgotten() -> None:
    station = Workstation()
    phone = await station.enrolled()
    await station.mistakes(FIRST, phone, FREE_MISTAKES)
    for uid in range(FIRST + 1, FIRST + COUNTS_MAX):
        await station.mistakes(uid, phone, 1)
    assert len(json.loads(station.store.documents[STORE])["counts"]) == COUNTS_MAX
    with pytest.raises(SupportCodeLocked):
        await station.unlocks(FIRST, phone.code(station.clock.now(), 1))


async def test_the_administrators_count_is_one_and_is_never_forgotten() -> None:
    station = Workstation()
    phone = await station.enrolled()
    await station.mistakes(ROOT, phone, FREE)
    for uid in range(FIRST, FIRST + COUNTS_MAX):
        await station.mistakes(uid, phone, 1)
    await station.mistakes(ROOT, phone, 1)
    with pytest.raises(SupportCodeLocked):
        await station.unlocks(ROOT, phone.code(station.clock.now(), 1))


async def test_a_lock_holds_to_its_last_half_second() -> None:
    station = Workstation()
    phone = await station.enrolled()
    await station.mistakes(ROOT, phone, FREE_MISTAKES)
    station.clock.seconds += LOCK_FIRST - 0.5
    with pytest.raises(SupportCodeLocked) as refused:
        await station.unlocks(ROOT, phone.code(station.clock.now()))
    assert refused.value.params["retry_after"] == 1
    station.clock.seconds += 0.5
    await station.unlocks(ROOT, phone.code(station.clock.now()))


async def test_a_code_that_is_good_ends_the_count_of_its_user_and_nobody_elses() -> None:
    station = Workstation()
    phone = await station.enrolled()
    await station.mistakes(ROOT, phone, FREE)
    await station.mistakes(FIRST, phone, FREE)
    await station.unlocks(FIRST, phone.code(station.clock.now(), 1))
    await station.mistakes(FIRST, phone, FREE)
    await station.mistakes(ROOT, phone, 1)
    with pytest.raises(SupportCodeLocked):
        await station.unlocks(ROOT, phone.code(station.clock.now()))


async def test_who_gives_a_code_again_is_told_when_the_next_one_comes() -> None:
    station = Workstation()
    phone = await station.enrolled()
    for seconds, steps, wait in ((0, 0, STEP), (STEP - 1, 0, 1), (0, 1, STEP + 1)):
        station.clock.seconds += seconds
        code = phone.code(station.clock.now(), steps)
        if steps:
            await station.unlocks(ROOT, code)
        with pytest.raises(SupportCodeReplayed) as refused:
            await station.unlocks(ROOT, code)
        assert refused.value.params["retry_after"] == wait


async def test_a_secret_that_was_removed_and_is_passed_by_systemd_now_is_not_ours_any_more() -> None:
    station = Workstation()
    phone = await station.enrolled()
    kept = dict(station.secrets.values)
    await station.codes.remove(caller(ROOT), phone.code(station.clock.now(), 1))
    assert not (await station.codes.standing(caller(ROOT))).enrolled
    station.secrets.values = kept
    with pytest.raises(SupportSecretFixed):
        await station.codes.enrol(caller(ROOT), None)


async def test_where_no_code_is_demanded_the_row_still_tells_about_what() -> None:
    station = Workstation(demands=False)
    await station.codes.demand(Privilege.UNLOCK, caller(ROOT), None, about="a program")
    assert [(row.action, row.document) for row in station.audit.entries] == [("support.unlock", "a program")]


async def test_a_wrong_code_is_refused_in_the_log_and_a_full_disk_has_failed() -> None:
    station = Workstation()
    phone = await station.enrolled()
    await station.mistakes(ROOT, phone, 1)
    station.store.is_full = True
    with pytest.raises(StateUnavailable):
        await station.unlocks(ROOT, phone.code(station.clock.now(), 1))
    assert [(row.outcome, row.code) for row in station.audit.entries] == [
        (Outcome.DONE, None),
        (Outcome.REFUSED, "support_code.wrong"),
        (Outcome.FAILED, "state.unavailable"),
    ]


async def test_a_secret_of_bytes_that_are_no_letters_is_not_ours_to_change() -> None:
    station = Workstation()
    station.secrets.values = {SECRET: b"\xff" * 20}
    with pytest.raises(SupportSecretFixed):
        await station.codes.enrol(caller(ROOT), None)


async def test_a_code_confirms_nothing_where_no_enrolment_waits() -> None:
    with pytest.raises(SupportNotEnrolled):
        await Workstation().codes.confirm(caller(ROOT), "000000")
