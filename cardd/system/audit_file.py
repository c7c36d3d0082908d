"""The audit log on disk: one SQLite file, and beside it the head, a line with the last row's number and hash.

SQLite keeps ``number`` rising and refuses UPDATE and DELETE by triggers: a guard against mistakes. Against whoever
opens the file with another program there is the hash chain (``cardd.core.audit``).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cardd.core.audit import EMPTY, FIELDS, TIME_FORMAT, Head
from cardd.errors import AuditBroken, AuditUnavailable
from cardd.model import AuditEntry, AuditRow, Outcome

FILE = "audit.db"
HEAD = "head"
COLUMNS = ("number", "time", *FIELDS, "hash")

REQUIRED = {"action", "outcome", "caller", "caller_name"}
ENTRY_COLUMNS = ", ".join(
    f"{name} {'INTEGER' if name == 'uid' else 'TEXT'}{' NOT NULL' if name in {*REQUIRED, 'uid'} else ''}"
    for name in FIELDS
)
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, time TEXT NOT NULL, {ENTRY_COLUMNS}, hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""
INSERT = f"INSERT INTO audit ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 (own names)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM audit"  # noqa: S608 (own names)

Record = tuple[int | str | None, ...]


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what SQLite and the file system say into AuditUnavailable."""
    try:
        yield
    except sqlite3.Error as error:
        raise AuditUnavailable(why=str(error)) from error
    except OSError as error:
        raise AuditUnavailable(why=error.strerror or str(error)) from error


def record_of(row: AuditRow) -> Record:
    """The row's columns, in the order of ``COLUMNS``."""
    entry: list[int | str | None] = [getattr(row.entry, name) for name in FIELDS]
    return (row.number, row.time.strftime(TIME_FORMAT), *entry, row.hash)


def row_of(record: Record) -> AuditRow:
    """The row that a record holds. Raises AuditBroken when its values could not have been written by cardd."""
    number, time, *values, digest = record
    named: dict[str, Any] = dict(zip(FIELDS, values, strict=True))
    try:
        named["outcome"] = Outcome(named["outcome"])
        at = datetime.strptime(str(time), TIME_FORMAT).replace(tzinfo=UTC)
        row = AuditRow(int(str(number)), at, AuditEntry(**named), str(digest))
    except ValueError:
        raise AuditBroken(row=int(str(number)), why="changed") from None
    if record_of(row) != record:
        raise AuditBroken(row=row.number, why="changed")
    return row


def head_line(head: Head) -> bytes:
    """The head file's content; always of the same length, so that it is overwritten in place."""
    return f"{head.number:020d} {head.hash}\n".encode()


def read_head(directory: Path) -> Head | None:
    """The head beside the log; None when there is none or when it is not one. Raises AuditUnavailable."""
    with reported():
        try:
            line = _settled(directory / HEAD)
            number, _, digest = line.decode("ascii").strip().partition(" ")
            return Head(int(number), digest)
        except (FileNotFoundError, ValueError):
            return None


def _settled(path: Path) -> bytes:
    """A file's content, read until two reads agree: the writer overwrites it in place."""
    seen = path.read_bytes()
    while (again := path.read_bytes()) != seen:
        seen = again
    return seen


def last(connection: sqlite3.Connection) -> Head:
    """The head as the rows themselves have it."""
    found = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return Head(*found) if found else EMPTY
