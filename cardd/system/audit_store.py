"""The audit log's writer: rows are synced before the caller hears of it.

A card's own thread writes what the card signed, so that no thread is waited for twice; everything else is written on
a thread of the log's.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cardd.core.audit import EMPTY, Head, next_row
from cardd.errors import AuditBroken, AuditUnavailable
from cardd.model import AuditEntry, AuditRow, Outcome, Receipt
from cardd.ports import Clock
from cardd.secret import Secret
from cardd.system.audit_file import (
    BREAK,
    COPY,
    FILE,
    FORMATS,
    INSERT,
    SEAL,
    UNSEAL,
    AuditReader,
    ensure_files,
    faults,
    format_of,
    is_sealed,
    last,
    record_of,
    reported,
    verified,
)
from cardd.system.audit_heads import BESIDE, Heads, HeadWriter, Noted, furthest
from cardd.system.host import SystemClock
from cardd.system.private import open_private, refuse_exposed_directory
from cardd.system.receipts import Receipts
from cardd.values import Value, replace

log = logging.getLogger(__name__)

HEAD_DELAY = 0.1
PAGE_SIZE = 1024  # a row is a few hundred bytes: smaller pages make its sync cheaper

# The write-ahead log takes its usual size at once (1000 pages, then it begins anew): a sync that has to make the file
# longer costs twice as much as one that does not. The room in the log itself is taken by later rows.
MAKE_ROOM = """
DROP TABLE IF EXISTS room;
BEGIN IMMEDIATE;
CREATE TABLE room AS SELECT zeroblob(900 * 1024) AS bytes;
COMMIT;
DROP TABLE room;
PRAGMA wal_checkpoint(RESTART);
"""

SCARCE = 4 * 1024 * 1024  # bytes
PROBE = """
DROP TABLE IF EXISTS room;
BEGIN IMMEDIATE;
CREATE TABLE room AS SELECT zeroblob(16 * 1024) AS bytes;
COMMIT;
DROP TABLE room;
"""

T = TypeVar("T")
Told = Callable[[Head], None]


class Custody(Value):
    """How a log's head is kept, and what becomes of a log that is broken.

    ``second`` is its other place; ``seal_key`` seals it; ``goes_on`` has a broken log continued, the break being a row;
    ``told`` hears of each head that was put down, on a thread of the log's.
    """

    second: Path | None = None
    seal_key: Secret | None = None
    goes_on: bool = False
    told: Told = lambda _: None


class SqliteAuditLog:
    """``cardd.ports.AuditLog`` over SQLite (WAL, synchronous=FULL: a commit is one fsync), directory 0700, file 0600.

    Opened by the first ``append``, or by ``open`` for whoever wants to know at once; a log that an older cardd wrote is
    brought to the newer format then, and a newer cardd's is refused with StateTooNew. The heads follow the rows a
    moment later and without a sync of their own, which would double what a row costs: after a crash they may lag, and
    are brought up to date when the rows beyond them hold together. They are never ahead of the rows, and are there
    before the first row is: a log that ends before its head, differs from it or has lost it was not left so by a crash,
    and is not continued, but where ``Custody`` says so.
    """

    def __init__(self, directory: Path, clock: Clock | None = None, custody: Custody | None = None) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._custody = custody or Custody()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._file: _File | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._has_closed = False
        self._has_failed = False  # the last write
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()

    def seal_with(self, key: Secret) -> None:
        """Seal the head with this key; before the log is opened."""
        self._custody = replace(self._custody, seal_key=key)

    async def open(self) -> None:
        """Open or create the log now. Raises AuditUnavailable, of which a broken log is one kind."""
        self._loop = loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._opened)

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Chain, write and sync one row. Raises AuditUnavailable; the next call tries anew."""
        self._loop = loop = asyncio.get_running_loop()
        [row] = await loop.run_in_executor(self._thread, self._append, [entry])
        return row

    async def ensure_writable(self) -> None:
        """Look whether a row could be written now; where there is reason to doubt it, by writing what is no row.

        Raises AuditUnavailable, of which a broken log is one kind.
        """
        self._loop = loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._ensure_writable)

    def write(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> None:
        """Chain and write these rows and sync them once, on the caller's own thread. Raises AuditUnavailable."""
        self._append(entries, receipt)

    def find(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name, on the caller's own thread. Raises AuditUnavailable."""
        with self._lock:
            file = self._opened()
            with reported():
                return file.receipts.find(name, self._clock.now())

    async def tail(self, uid: int, count: int) -> list[AuditRow]:
        """Return this OS user's last rows, oldest first, among the newest. Raises AuditUnavailable, AuditBroken."""
        return await asyncio.to_thread(AuditReader(self._directory).of, uid, count)

    async def receipt(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name, once what is being written is on disk. Raises AuditUnavailable."""
        if self._lock.acquire(blocking=False):  # nothing is being written
            try:
                if self._file is not None and not self._file.receipts.may_know(name):
                    return None
            finally:
                self._lock.release()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.find, name)

    async def close(self) -> None:
        """Close the log; rows that wait are written first, and the head."""
        self._has_closed = True  # a row of a card's thread may ask for the head just now
        if self._head_timer:
            self._head_timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _head_wanted(self) -> None:
        if self._head_timer is None and self._loop and not self._has_closed:
            self._head_timer = self._loop.call_later(HEAD_DELAY, self._head_due)

    def _head_due(self) -> None:
        self._head_timer = None
        self._thread.submit(self._write_head)

    def _write_head(self) -> None:
        with self._lock:
            head = self._file.write_head() if self._file else None
        if head is not None:
            self._custody.told(head)

    def _opened(self) -> _File:
        with self._lock:
            if self._file is None:
                with reported():
                    self._file = _File(self._directory, self._clock, self._custody)
                self._head_soon()
            return self._file

    def _append(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> list[AuditRow]:
        rows = self._write(lambda file: file.append(self._clock, entries, receipt))
        self._head_soon()
        return rows

    def _ensure_writable(self) -> None:
        with self._lock:
            if self._has_failed or self._opened().is_room_scarce():
                self._write(_File.write_nothing)

    def _write(self, work: Callable[[_File], T]) -> T:
        with self._lock:
            file = self._opened()
            try:
                with reported():
                    done = work(file)
            except AuditUnavailable:
                self._has_failed = True
                self._close()  # whether the rows are there is unknown now: the next append looks
                raise
            self._has_failed = False
        return done

    def _head_soon(self) -> None:
        if self._loop and self._head_timer is None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; closing writes the head
                self._loop.call_soon_threadsafe(self._head_wanted)

    def _close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._custody.told(self._file.close())
                self._file = None


class _File:
    """The open files; used by one thread at a time."""

    def __init__(self, directory: Path, clock: Clock, custody: Custody) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_exposed_directory(directory)
        ensure_files(directory)
        places = [directory / BESIDE, *([custody.second] if custody.second else [])]
        with contextlib.ExitStack() as undo:
            self._heads = Heads(places, custody.seal_key)
            noted = self._heads.read()
            self._writer = HeadWriter(self._heads)
            undo.callback(self._writer.close)
            _lock(self._writer.lock)
            os.close(open_private(directory / FILE))
            self._connection = sqlite3.connect(directory / FILE, isolation_level=None, check_same_thread=False)
            undo.callback(self._connection.close)
            self._connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA cache_size = -64")  # KiB: rows are written and never read back
            number = _bring_forward(self._connection, directory, lambda: self._begin(noted))
            self.head = last(self._connection)
            self._examine(noted, number, clock, custody)
            self.receipts = Receipts(self._connection)
            with contextlib.suppress(sqlite3.Error):
                self._connection.executescript(MAKE_ROOM)
            undo.pop_all()

    def append(self, clock: Clock, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> list[AuditRow]:
        """Chain, write and sync these rows: one commit, and so all of them or none, and the receipt with them."""
        rows: list[AuditRow] = []
        head = self.head
        for entry in entries:
            row = next_row(head, clock.now(), entry)
            rows.append(row)
            head = Head(row.number, row.hash)
        if len(rows) == 1 and receipt is None:
            self._connection.execute(INSERT, record_of(rows[0]))
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT, map(record_of, rows))
            if receipt is not None:
                self.receipts.keep(receipt, rows[0].number)
            self._connection.execute("COMMIT")
        self.head = head
        return rows

    def is_room_scarce(self) -> bool:
        """Return whether the disk has so little room left, or none that may be written, that a row might fail."""
        room = os.fstatvfs(self._writer.lock)
        return room.f_bavail * room.f_frsize < SCARCE or bool(room.f_flag & os.ST_RDONLY)

    def write_nothing(self) -> None:
        """Write and sync as much as a row with its receipt takes, and take it out again."""
        self._connection.executescript(PROBE)

    def write_head(self) -> Head:
        """Bring the heads up to the rows; a disk that refuses it refuses the next row, which is told."""
        with contextlib.suppress(OSError):
            self._writer.write(self.head)
        return self.head

    def close(self) -> Head:
        """Give the files back; never raises, what was written is synced already."""
        self.write_head()
        with contextlib.suppress(sqlite3.Error, OSError):
            self._connection.close()
        self._writer.close()
        return self.head

    def _begin(self, noted: Sequence[Noted]) -> None:
        """Put a head where this format wants one and none was: what lacks from now on was lost."""
        if noted[0].head or not last(self._connection).number:
            self._writer.begin(furthest(noted))

    def _examine(self, noted: Sequence[Noted], number: int, clock: Clock, custody: Custody) -> None:
        """Compare rows and heads, and record what was found; raise it where the log may not go on.

        One sound head that the rows agree with is enough to go on: that the other one was lost is a row then.
        """
        if self._heads.has_key and is_sealed(self._connection):
            noted = self._heads.read(must_be_sealed=True)
        heads = [one.head for one in noted if one.head]
        lost = faults(noted, self.head, number)
        found: AuditUnavailable | None = lost[0].error() if lost else None
        may_go_on = custody.goes_on or bool(heads)
        if any(head != self.head for head in heads) or not heads:
            try:
                verified(self._connection, *heads)
            except AuditBroken as broken:
                found, may_go_on = broken, custody.goes_on
        if found is not None:
            log.error("audit log: %s", found.told("en").detail)
            if not may_go_on:
                raise found
            self.append(clock, [_break(found, furthest(noted))])
        if self._heads.has_key != is_sealed(self._connection):
            self.append(clock, [_own(SEAL if self._heads.has_key else UNSEAL)])
        self._writer.write(self.head)


def _own(action: str, outcome: Outcome = Outcome.DONE) -> AuditEntry:
    """Return the row of what the log itself does."""
    return AuditEntry(action, outcome, os.geteuid(), "cardd", "cardd")


def _break(found: AuditUnavailable, noted: Head) -> AuditEntry:
    """Return the row from which on a broken log goes on: what was found, and the head that it should have had."""
    told = ", ".join(f"{name}={value}" for name, value in found.params.items())
    digest = noted.hash if noted.number else None
    return replace(_own(BREAK, Outcome.FAILED), document=f"{told}, head={noted.number}", digest=digest, code=found.code)


def _bring_forward(connection: sqlite3.Connection, directory: Path, begin: Callable[[], None]) -> int:
    """Make a new log, or bring an older one to the format of this cardd: whole or not at all, in one transaction.

    A copy stands beside it meanwhile. The chain must lead where it led before. ``begin`` puts the heads down before the
    format tells that they are there. Return the format that it had. Raises StateTooNew, AuditUnavailable.
    """
    copy = directory / COPY
    number = format_of(connection, directory / FILE)
    if number < len(FORMATS):
        copy.unlink(missing_ok=True)
        if number:
            os.close(open_private(copy))
            with contextlib.closing(sqlite3.connect(copy)) as beside:
                connection.backup(beside)
        before = _verdict(connection) if number else EMPTY
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(FORMATS[number:])} PRAGMA user_version = {len(FORMATS)};")
        if _verdict(connection) != before:
            raise AuditUnavailable(why=f"format {number} → {len(FORMATS)}")  # the connection is closed: rolled back
        begin()
        connection.execute("COMMIT")
    copy.unlink(missing_ok=True)
    return number


def _verdict(connection: sqlite3.Connection) -> Head | str:
    """Return the head that the chain leads to, or what is wrong with it."""
    try:
        return verified(connection)
    except AuditBroken as broken:
        return f"{broken.params['why']}, row {broken.params['row']}"


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AuditUnavailable(why="taken") from None
