"""What goes into the audit log: the acts that callers ask for, and those that come to nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from cardd.core.lifecycle import Background, Part
from cardd.errors import AuditSlow, AuditUnavailable, CarddError, ConsentError, PinError, StateUnavailable
from cardd.model import AuditEntry, AuditRow, Caller, Outcome, Receipt
from cardd.ports import AuditLog

MINUTE = 60.0
COUNTED = frozenset(("holder.read", "session.lock", "agent.register", "agent.leave"))
STRANGERS = 128  # callers of no pairing with refusals of their own to count at one time
STRANGER = "local:"  # how the identifier of a caller begins whom nobody has paired
EVERY_OTHER = "local:*"
PATIENCE = 5.0  # seconds

_late = Background()  # rows that a slow disk has not taken yet


def entry_of(
    caller: Caller,
    action: str,
    *,
    session: str | None = None,
    digest: bytes | None = None,
    document: str | None = None,
    certificate: str | None = None,
    consent: str | None = None,
) -> AuditEntry:
    """Return the entry of an act that this caller asked for and that was done; ``session`` is its identifier."""
    return AuditEntry(
        action=action,
        outcome=Outcome.DONE,
        uid=caller.peer.uid,
        caller=caller.id,
        caller_name=caller.name,
        session=session,
        digest=digest.hex() if digest is not None else None,
        document=document,
        certificate=certificate,
        consent=consent,
    )


@asynccontextmanager
async def recorded(audit: AuditLog, *entries: AuditEntry, patience: float = PATIENCE) -> AsyncIterator[None]:
    """Give the acts inside an entry each when they fail, or were refused by a person.

    When even that fails, the first error is the one to tell; a disk is waited for so many seconds.
    """
    try:
        yield
    except AuditSlow:
        raise  # the card may have signed: the row that says so is on its way
    except CarddError as error:
        outcome = Outcome.REFUSED if isinstance(error, ConsentError | PinError) else Outcome.FAILED
        rows = [replace(entry, outcome=outcome, code=error.code) for entry in entries]
        writing = _late.start(append_if_possible(audit, *rows))
        await asyncio.wait([writing], timeout=patience)  # a disk that hangs keeps no answer
        raise


async def append_if_possible(audit: AuditLog, *rows: AuditEntry) -> None:
    """Append rows that nobody depends on: where the log cannot take them, what is told is told all the same."""
    with contextlib.suppress(AuditUnavailable, StateUnavailable):
        for row in rows:
            await audit.append(row)


@dataclass(slots=True)
class _Repeated:
    """One caller's refusals for one reason in one minute: the row of the first one, and how many followed."""

    row: asyncio.Task[AuditRow]
    count: int = 0
    timer: asyncio.TimerHandle | None = None


class CountedRefusals(Part):
    """The audit log with refusals counted: a caller that is refused again and again fills no disk.

    What came to nothing and is about no document is one row for each caller, act and reason; what follows within a
    minute is counted, and the count is a row at the minute's end. So are the acts of ``COUNTED``, which ask nobody.
    One person may have thousands of OS users (subuid(5)): what unpaired programs of more than ``STRANGERS`` are refused
    in a minute is counted together, as those of ``local:*``; the user of that row is the first of them.
    """

    def __init__(self, audit: AuditLog, *, minute: float = MINUTE) -> None:
        self._audit = audit
        self._minute = minute
        self._repeated: dict[tuple[object, ...], _Repeated] = {}
        self._background = Background()

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Append the row, or count it and return the one that stands for it. Raises AuditUnavailable."""
        if (entry.outcome is Outcome.DONE and entry.action not in COUNTED) or entry.digest or entry.document:
            return await self._audit.append(entry)
        key = self._key(entry)
        if key not in self._repeated and entry.caller.startswith(STRANGER) and self._are_many():
            entry = replace(entry, caller=EVERY_OTHER, caller_name=EVERY_OTHER, certificate=None)
            key = self._key(entry)
        if repeated := self._repeated.get(key):
            repeated.count += 1
        else:
            repeated = self._begin(key, entry)
        try:
            return await asyncio.shield(repeated.row)
        except AuditUnavailable:
            self._forget(key, repeated)
            raise

    def write(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> None:
        """Write what was done."""
        self._audit.write(entries, receipt)

    def find(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name."""
        return self._audit.find(name)

    async def receipt(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name."""
        return await self._audit.receipt(name)

    async def stop(self) -> None:
        """Write the counts that are due later."""
        for key, repeated in list(self._repeated.items()):
            await self._end(key, repeated, goes_on=False)

    @staticmethod
    def _key(entry: AuditEntry) -> tuple[object, ...]:
        uid = None if entry.caller == EVERY_OTHER else entry.uid
        return (entry.caller, uid, entry.action, entry.code, entry.certificate)

    def _are_many(self) -> bool:
        return sum(str(caller).startswith(STRANGER) for caller, *_ in self._repeated) >= STRANGERS

    def _begin(self, key: tuple[object, ...], entry: AuditEntry) -> _Repeated:
        repeated = self._repeated[key] = _Repeated(asyncio.ensure_future(self._audit.append(entry)))
        loop = asyncio.get_running_loop()
        repeated.timer = loop.call_later(self._minute, lambda: self._background.start(self._end(key, repeated)))
        return repeated

    def _forget(self, key: tuple[object, ...], repeated: _Repeated) -> None:
        if repeated.timer:
            repeated.timer.cancel()
        if self._repeated.get(key) is repeated:
            del self._repeated[key]

    async def _end(self, key: tuple[object, ...], repeated: _Repeated, *, goes_on: bool = True) -> None:
        """Write the count, from which on the next minute is counted where they may go on."""
        self._forget(key, repeated)
        with contextlib.suppress(AuditUnavailable, StateUnavailable):
            row = await repeated.row
            if repeated.count:
                entry = replace(row.entry, session=None, document=f"times:{repeated.count}")
                await (self._begin(key, entry).row if goes_on else self._audit.append(entry))
