"""The audit log's writer: one thread, one row at a time, synced before the caller hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cardd.core.audit import EMPTY, Head, next_row, verify
from cardd.errors import AuditBroken, AuditUnavailable
from cardd.model import AuditEntry, AuditRow
from cardd.ports import Clock
from cardd.system.audit_file import (
    FILE,
    HEAD,
    INSERT,
    SCHEMA,
    SELECT,
    head_line,
    last,
    read_head,
    record_of,
    reported,
    row_of,
)
from cardd.system.clock import SystemClock

HEAD_DELAY = 0.1
PAGE_SIZE = 1024  # a row is a few hundred bytes: smaller pages make its sync cheaper


class SqliteAuditLog:
    """``cardd.ports.AuditLog`` over SQLite (WAL, synchronous=FULL: a commit is one fsync), directory 0700, file 0600.

    Opened by the first ``append``, or by ``open`` for whoever wants to know at once. The head file follows the rows a
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

    async def open(self) -> None:
        """Open or create the log now. Raises AuditUnavailable."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._opened)

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Chain, write and sync one row. Raises AuditUnavailable; the next call tries anew."""
        loop = asyncio.get_running_loop()
        row = await loop.run_in_executor(self._thread, self._append, entry)
        if self._head_timer is None:
            self._head_timer = loop.call_later(HEAD_DELAY, self._head_due)
        return row

    async def close(self) -> None:
        """Close the log; rows that wait are written first, and the head."""
        if self._head_timer:
            self._head_timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _head_due(self) -> None:
        self._head_timer = None
        self._thread.submit(self._write_head)

    def _write_head(self) -> None:
        if self._file is not None:
            self._file.write_head()

    def _opened(self) -> _File:
        if self._file is None:
            with reported():
                self._file = _File(self._directory)
        return self._file

    def _append(self, entry: AuditEntry) -> AuditRow:
        file = self._opened()
        try:
            with reported():
                row = next_row(file.head, self._clock.now(), entry)
                file.write(row)
        except AuditUnavailable:
            self._close()  # whether the row is there is unknown now: the next append looks
            raise
        return row

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _File:
    """The open files; used on the writer's thread only."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            self._connection.executescript(SCHEMA)
            self.head = self._checked_head(read_head(directory) or EMPTY)
            undo.pop_all()

    def write(self, row: AuditRow) -> None:
        """Write and sync one row."""
        self._connection.execute(INSERT, record_of(row))
        self.head = Head(row.number, row.hash)

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
                self._follow(kept)
            except AuditBroken as broken:
                raise AuditUnavailable(why=f"{broken.params['why']}, row {broken.params['row']}") from broken
            os.pwrite(self._head_file, head_line(found), 0)
        return found

    def _follow(self, kept: Head) -> None:
        verify(map(row_of, self._connection.execute(f"{SELECT} ORDER BY number")), kept)


def _private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AuditUnavailable(why="another cardd writes this log") from None
