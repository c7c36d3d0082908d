"""What goes into the audit log: the acts that callers ask for, and those that come to nothing.

What a card's thread signs counts once its row is on disk, and not before (rule 8). The time limit of a card does not
cover the disk: where the card has signed and the disk dawdles, the caller waits a little longer, and is then told just
that; the signature is not lost, and its row is no failure. Patients and documents may stand under pseudonyms.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, Literal, TypeVar

from cardd.core.lifecycle import Part
from cardd.core.state_file import StateFile
from cardd.errors import AuditSlow, AuditUnavailable, CarddError, CardTimeout, ConsentError, PinError, StateUnavailable
from cardd.model import AuditEntry, AuditRow, Caller, Outcome, Receipt
from cardd.ports import AuditLog, Store
from cardd.request import Where, current, step
from cardd.values import Record, Value, replace
from cardd.worker import Background, post

MINUTE = 60.0
COUNTED = frozenset(("holder.read", "origin.list", "session.lock", "agent.register", "agent.leave"))
STRANGERS = 128  # callers of no pairing with refusals of their own to count at one time
STRANGER = "local:"  # how the identifier of a caller begins whom nobody has paired
EVERY_OTHER = "local:*"
PATIENCE = 5.0  # seconds
PSEUDONYMS = "pseudonyms"
KEY_SIZE = 32
LENGTH = 16  # hexadecimal digits of a pseudonym
DIGEST = "name:"  # before the digest of a document's name

T = TypeVar("T")

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


async def ensure_recordable(audit: AuditLog, patience: float = PATIENCE) -> None:
    """Look whether an act could be recorded, before a person is asked for what would come to nothing.

    A disk that dawdles is waited for so many seconds: then the act begins, and who asked is told at its end. Raises
    AuditUnavailable, of which a broken log is one kind, StateUnavailable.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await audit.ensure_writable()


class Recordings:
    """What the cards' threads record. ``patience`` is how many seconds a disk is waited for beyond the card's own time.

    While a thread waits for the disk, its reader serves nobody: whoever passes their time there is told of the disk.
    ``writing`` are the readers of which this is so.
    """

    def __init__(self, audit: AuditLog, patience: float) -> None:
        self.audit = audit
        self.patience = patience
        self.writing: set[object] = set()

    def begin(self, reader: object) -> RecordedWork[T]:
        """Return one piece of work, not begun, of what stands for a reader's thread; on the loop."""
        return RecordedWork(self, reader)


class RecordedWork(Generic[T]):
    """One piece of work on a card; made on the loop, done on the card's thread."""

    def __init__(self, all_of_them: Recordings, reader: object) -> None:
        self._all = all_of_them
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._outcome: Callable[[asyncio.Future[T]], None] | None = None
        self._waiting: asyncio.Future[T] | None = None  # whoever was told that the card is late, and waits for the disk
        self._has_signed = False

    def record(self, value: T, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> T:
        """Record that the card made ``value``, and return it; on the card's thread. Raises AuditUnavailable."""
        self._has_signed = True
        self._all.writing.add(self._reader)
        try:
            with step("disk", Where.DAEMON):
                self._all.audit.write(entries, receipt)
        except BaseException as error:
            fault = error
            self._settle(lambda waiting: waiting.set_exception(fault))
            raise
        finally:
            self._all.writing.discard(self._reader)
        self._settle(lambda waiting: waiting.set_result(value))
        return value

    async def result(self, running: Awaitable[T]) -> T:
        """Return what ``running``, which does the work, returns. Raises what it raises, AuditSlow for CardTimeout."""
        try:
            return await running
        except CardTimeout:
            if not self._has_signed and self._reader not in self._all.writing:
                raise
        seconds = self._all.patience if self._has_signed else 0.0
        self._waiting = self._loop.create_future()
        self._tell()
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting
        except TimeoutError:
            raise AuditSlow(seconds=round(self._all.patience)) from None

    def _settle(self, outcome: Callable[[asyncio.Future[T]], None]) -> None:
        """Note what came of it. The loop is woken only where somebody waits: that takes as long as an APDU."""
        self._outcome = outcome  # first this, then the look; whoever begins to wait looks in the other order
        if self._waiting is not None:
            post(self._loop, self._tell)

    def _tell(self) -> None:
        if self._outcome and self._waiting and not self._waiting.done():
            self._outcome(self._waiting)


class _Repeated(Record):
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

    Each row names the request that it is of, and ``told`` hears of it.
    """

    def __init__(
        self, audit: AuditLog, *, minute: float = MINUTE, told: Callable[[AuditEntry], None] = lambda _: None
    ) -> None:
        self._audit = audit
        self._told = told
        self._minute = minute
        self._repeated: dict[tuple[object, ...], _Repeated] = {}
        self._background = Background()

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Append the row, or count it and return the one that stands for it. Raises AuditUnavailable."""
        entry = _of_request(entry)
        self._told(entry)
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

    async def ensure_writable(self) -> None:
        """Look whether a row could be written now."""
        await self._audit.ensure_writable()

    def write(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> None:
        """Write what was done."""
        named = [_of_request(entry) for entry in entries]
        self._audit.write(named, receipt)
        for entry in named:
            self._told(entry)

    def find(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name."""
        return self._audit.find(name)

    async def tail(self, uid: int, count: int) -> Sequence[AuditRow]:
        """Return the last rows of this OS user, oldest first."""
        return await self._audit.tail(uid, count)

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
                entry = replace(row.entry, session=None, request=None, document=f"times:{repeated.count}")
                await (self._begin(key, entry).row if goes_on else self._audit.append(entry))


def _of_request(entry: AuditEntry) -> AuditEntry:
    """Return the entry with the request that is worked on."""
    request = current()
    return replace(entry, request=request.id) if request is not None and entry.request is None else entry


class DocumentNames:
    """What the log keeps of a document's name: the ``name``, a ``digest`` of it or ``none``.

    Names are a person's words, and patients' names among them. The digest is a pseudonym, as patients have.
    """

    def __init__(self, keep: Literal["name", "digest", "none"], pseudonyms: Pseudonyms) -> None:
        self._keep = keep
        self._pseudonyms = pseudonyms

    def kept(self, name: str) -> str | None:
        """Return what is kept of this name. Raises StateUnavailable, StateDamaged."""
        match self._keep:
            case "name":
                return name
            case "digest":
                return self.digest(name)
        return None

    def digest(self, name: str) -> str:
        """Return what stands in the log for this name, where digests are kept. Raises as ``kept``."""
        return f"{DIGEST}{self._pseudonyms.of(f'{DIGEST}{name}')}"


class _Kept(Value):
    """The key, in hexadecimal."""

    key: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no key."""
        if len(bytes.fromhex(self.key)) != KEY_SIZE:
            raise ValueError("key")


class Pseudonyms:
    """Names for patients and documents: the same text is the same pseudonym here, and nobody can tell the text.

    The numbers are few enough to be tried one by one, so that a bare hash would hide nothing: the hash is keyed, and
    the key, made with the first pseudonym, stays in the state directory. Who exports the log exports no patient.
    """

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, PSEUDONYMS, _Kept)
        self._key: bytes | None = None

    def of(self, number: str) -> str:
        """Return the pseudonym of this number. Raises StateUnavailable, StateDamaged."""
        if self._key is None:
            self._key = self._kept() or self._new()
        return hmac.new(self._key, number.encode(), hashlib.sha256).hexdigest()[:LENGTH]

    def _kept(self) -> bytes | None:
        kept = self._file.load()
        return bytes.fromhex(kept.key) if kept else None

    def _new(self) -> bytes:
        key = secrets.token_bytes(KEY_SIZE)
        self._file.save(_Kept(key.hex()))
        return key
