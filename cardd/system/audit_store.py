"""The audit log's writer: rows are synced before the caller hears of it.

A card's own thread writes what the card signed, so that no thread is waited for twice; everything else is written on
a thread of the log's.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cardd.core.audit import EMPTY, Head, next_row
from cardd.errors import AuditBroken, AuditUnavailable
from cardd.model import AuditEntry, AuditRow
from cardd.ports import Clock
from cardd.system.audit_file import (
    COPY,
    FILE,
    FORMATS,
    HEAD,
    INSERT,
    format_of,
    head_line,
    last,
    read_head,
    record_of,
    reported,
    verified,
)
from cardd.system.host import SystemClock
from cardd.system.private import refuse_exposed_directory

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


class SqliteAuditLog:
    """``cardd.ports.AuditLog`` over SQLite (WAL, synchronous=FULL: a commit is one fsync), directory 0700, file 0600.

    Opened by the first ``append``, or by ``open`` for whoever wants to know at once; a log that an older cardd wrote is
    brought to the newer format then, and a newer cardd's is refused with StateTooNew. The head file follows the rows a
    moment later and without a sync of its own, which would double what a row costs: after a crash it may lag, and is
    brought up to date when the rows beyond it hold together. A log that ends before its head, or differs from it, is
    not continued: that would hide the gap.
    """

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._file: _File | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()

    async def open(self) -> None:
        """Open or create the log now. Raises AuditUnavailable."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._opened)

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Chain, write and sync one row. Raises AuditUnavailable; the next call tries anew."""
        self._loop = loop = asyncio.get_running_loop()
        [row] = await loop.run_in_executor(self._thread, self._append, [entry])
        return row

    def write(self, entries: Sequence[AuditEntry]) -> None:
        """Chain and write these rows and sync them once, on the caller's own thread. Raises AuditUnavailable."""
        self._append(entries)

    async def close(self) -> None:
        """Close the log; rows that wait are written first, and the head."""
        if self._head_timer:
            self._head_timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _head_wanted(self) -> None:
        if self._head_timer is None and self._loop:
            self._head_timer = self._loop.call_later(HEAD_DELAY, self._head_due)

    def _head_due(self) -> None:
        self._head_timer = None
        self._thread.submit(self._write_head)

    def _write_head(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.write_head()

    def _opened(self) -> _File:
        with self._lock:
            if self._file is None:
                with reported():
                    self._file = _File(self._directory)
            return self._file

    def _append(self, entries: Sequence[AuditEntry]) -> list[AuditRow]:
        with self._lock:
            file = self._opened()
            try:
                with reported():
                    rows = file.append(self._clock, entries)
            except AuditUnavailable:
                self._close()  # whether the rows are there is unknown now: the next append looks
                raise
        if self._loop and self._head_timer is None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; closing writes the head
                self._loop.call_soon_threadsafe(self._head_wanted)
        return rows

    def _close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


class _File:
    """The open files; used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_exposed_directory(directory)
        with contextlib.ExitStack() as undo:
            self._head_file = _private(directory / HEAD)
            undo.callback(os.close, self._head_file)
            _lock(self._head_file)
            os.close(_private(directory / FILE))
            self._connection = sqlite3.connect(directory / FILE, isolation_level=None, check_same_thread=False)
            undo.callback(self._connection.close)
            self._connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA cache_size = -64")  # KiB: rows are written and never read back
            _bring_forward(self._connection, directory)
            self.head = self._checked_head(read_head(directory) or EMPTY)
            with contextlib.suppress(sqlite3.Error):
                self._connection.executescript(MAKE_ROOM)
            undo.pop_all()

    def append(self, clock: Clock, entries: Sequence[AuditEntry]) -> list[AuditRow]:
        """Chain, write and sync these rows: one commit, and so all of them or none."""
        rows: list[AuditRow] = []
        head = self.head
        for entry in entries:
            row = next_row(head, clock.now(), entry)
            rows.append(row)
            head = Head(row.number, row.hash)
        if len(rows) == 1:
            self._connection.execute(INSERT, record_of(rows[0]))
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT, map(record_of, rows))
            self._connection.execute("COMMIT")
        self.head = head
        return rows

    def write_head(self) -> None:
        """Bring the head file up to the rows; a disk that refuses it refuses the next row, which is told."""
        with contextlib.suppress(OSError):
            os.pwrite(self._head_file, head_line(self.head), 0)

    def close(self) -> None:
        """Give the files back; never raises, what was written is synced already."""
        self.write_head()
        with contextlib.suppress(sqlite3.Error, OSError):
            self._connection.close()
        os.close(self._head_file)

    def _checked_head(self, kept: Head) -> Head:
        """The head of the rows, when it is the kept one or when rows that hold together lead from there to it."""
        found = last(self._connection)
        if found != kept:
            try:
                verified(self._connection, kept)
            except AuditBroken as broken:
                raise AuditUnavailable(why=f"{broken.params['why']}, row {broken.params['row']}") from broken
            os.pwrite(self._head_file, head_line(found), 0)
        return found


def _bring_forward(connection: sqlite3.Connection, directory: Path) -> None:
    """Make a new log, or bring an older one to the format of this cardd: whole or not at all, in one transaction.

    A copy stands beside it meanwhile. The chain must lead where it led before. Raises StateTooNew, AuditUnavailable.
    """
    copy = directory / COPY
    number = format_of(connection, directory / FILE)
    if number < len(FORMATS):
        copy.unlink(missing_ok=True)
        if number:
            os.close(_private(copy))
            with contextlib.closing(sqlite3.connect(copy)) as beside:
                connection.backup(beside)
        before = _verdict(connection) if number else EMPTY
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(FORMATS[number:])} PRAGMA user_version = {len(FORMATS)};")
        if _verdict(connection) != before:
            raise AuditUnavailable(why=f"format {number} → {len(FORMATS)}")  # the connection is closed: rolled back
        connection.execute("COMMIT")
    copy.unlink(missing_ok=True)


def _verdict(connection: sqlite3.Connection) -> Head | str:
    """Return the head that the chain leads to, or what is wrong with it."""
    try:
        return verified(connection, EMPTY)
    except AuditBroken as broken:
        return f"{broken.params['why']}, row {broken.params['row']}"


def _private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AuditUnavailable(why="taken") from None
