"""The audit log on disk: one SQLite file, and its head in two places (``cardd.system.audit_heads``).

``FORMATS`` says what each format of the file added. ``AuditReader`` reads all of them, whether a daemon writes the log
meanwhile or not: for support, and for copies kept elsewhere.

SQLite keeps ``number`` rising and refuses UPDATE and DELETE by triggers: a guard against mistakes. Against whoever
opens the file with another program there is the hash chain (``cardd.core.audit``).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cardd.core import audit
from cardd.core.audit import EMPTY, FIELDS, TIME_FORMAT, Head
from cardd.errors import AuditBroken, AuditDamaged, AuditUnavailable, StateTooNew
from cardd.files import ensure_regular
from cardd.model import AuditEntry, AuditRow, Outcome
from cardd.secret import Secret
from cardd.system.audit_heads import BESIDE, Heads, Noted
from cardd.system.private import audit_fault

FILE = "audit.db"
COPY = "audit.db.before"  # the log as it was, while it is brought to a newer format
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
NO_TEXT = "Could not decode to UTF-8"  # how sqlite3 tells a text that is none: SQLite checks none
COLUMNS = ("number", "time", *FIELDS, "hash")

# What brings the log to format 1, 2 and so on; a step that was released is never changed. A new field of AuditEntry is
# one more step that adds a column: in old rows it is not set, and the chain leaves out what is not set.
FORMATS = (
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, time TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL,
        uid INTEGER NOT NULL, caller TEXT NOT NULL, caller_name TEXT NOT NULL, session TEXT, digest TEXT, document TEXT,
        certificate TEXT, consent TEXT, code TEXT, hash TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
    """,
    "",  # the head stands in two places, with room for a seal: an older cardd would write over half of it
    # receipts are no rows: they are not chained, and forgotten after a day
    """
    CREATE TABLE receipt (
        name BLOB PRIMARY KEY, request BLOB NOT NULL, at INTEGER NOT NULL, row INTEGER NOT NULL, sealed BLOB
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE audit ADD COLUMN request TEXT;",
)
HEADS_FORMAT = 2
LOOKED_AT = 5000  # rows for those of one user: a page asks
INSERT = f"INSERT INTO audit ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 (own names)

Record = tuple[int | str | None, ...]

BREAK, SEAL, UNSEAL = "audit.break", "audit.seal", "audit.unseal"  # what the log records of itself


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what SQLite and the file system say into AuditUnavailable, and AuditDamaged where no room would help.

    What is no file is StateNotAFile.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in DAMAGE or str(error).startswith(NO_TEXT):
            raise AuditDamaged(why=str(error)) from error
        raise AuditUnavailable(why=str(error)) from error
    except UnicodeDecodeError as error:  # the same, in what SQLite says of it
        raise AuditDamaged(why=str(error)) from error
    except MemoryError as error:  # a damaged file has SQLite make room for more than there is
        raise AuditUnavailable(why="out of memory") from error
    except OSError as error:
        raise audit_fault(error) from error


def ensure_files(directory: Path) -> None:
    """Check that what SQLite will open there are files. Raises OSError."""
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        if (directory / name).exists():
            ensure_regular(directory / name)


def record_of(row: AuditRow) -> Record:
    """The row's columns, in the order of ``COLUMNS``."""
    entry: list[int | str | None] = [getattr(row.entry, name) for name in FIELDS]
    return (row.number, row.time.strftime(TIME_FORMAT), *entry, row.hash)


def row_of(record: Record) -> AuditRow:
    """The row that a record holds. Raises AuditBroken when its values could not have been written by cardd."""
    number, time, *values, digest = record
    place = number if isinstance(number, int) else 0  # another table of that name may have any
    named: dict[str, Any] = dict(zip(FIELDS, values, strict=True))
    try:
        named["outcome"] = Outcome(named["outcome"])
        at = datetime.strptime(str(time), TIME_FORMAT).replace(tzinfo=UTC)
        row = AuditRow(place, at, AuditEntry(**named), str(digest))
    except ValueError:
        raise AuditBroken(row=place, why="changed") from None
    if record_of(row) != record:
        raise AuditBroken(row=row.number, why="changed")
    return row


def format_of(connection: sqlite3.Connection, file: Path) -> int:
    """Return the log's format; 0 for an empty file. Raises StateTooNew."""
    [number] = connection.execute("PRAGMA user_version").fetchone()
    if number == 0:  # cardd 0.1.0 wrote no number
        [number] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audit'").fetchone()
    if number > len(FORMATS):
        raise StateTooNew(file=str(file), format=number, known=len(FORMATS))
    return int(number)


def rows(connection: sqlite3.Connection, more: str, *values: int | str) -> sqlite3.Cursor:
    """Return the records of the log, in whichever format; ``more`` is what stands behind FROM."""
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(audit)")}
    columns = ", ".join(name if name in there else f"NULL AS {name}" for name in COLUMNS)
    return connection.execute(f"SELECT {columns} FROM audit {more}", values)  # noqa: S608 (own names)


def verified(connection: sqlite3.Connection, *noted: Head) -> Head:
    """Return the head that the whole chain leads to, through the noted ones. Raises AuditBroken."""
    return audit.verify(map(row_of, rows(connection, "ORDER BY number")), *noted)


def is_sealed(connection: sqlite3.Connection) -> bool:
    """Return whether the rows say that the head must have a seal."""
    found = connection.execute(
        "SELECT action FROM audit WHERE action IN (?, ?) ORDER BY number DESC LIMIT 1", (SEAL, UNSEAL)
    ).fetchone()
    return bool(found == (SEAL,))


def faults(noted: Sequence[Noted], reached: Head, number: int) -> list[Noted]:
    """Return the places that should have a head and have none, in a log of this format.

    Where nothing was ever recorded none need be there, and an older log's is beside it only.
    """
    due = noted if number >= HEADS_FORMAT else noted[:1]
    return [one for one in noted if one.fault and not (one.fault == "missing" and (reached == EMPTY or one not in due))]


def last(connection: sqlite3.Connection) -> Head:
    """The head as the rows themselves have it."""
    found = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return Head(*found) if found else EMPTY


class AuditReader:
    """The log of one directory, opened read-only for each call.

    All methods raise AuditUnavailable, AuditBroken and StateNotAFile.

    ``second`` is where the head stands for the second time, if that is known; ``seal_key`` checks the seals.
    """

    def __init__(self, directory: Path, second: Path | None = None, seal_key: Secret | None = None) -> None:
        self._directory = directory
        self._heads = Heads([directory / BESIDE, *([second] if second else [])], seal_key)

    def tail(self, count: int) -> list[AuditRow]:
        """The last rows, oldest first."""
        with self._open() as connection:
            found = rows(connection, "ORDER BY number DESC LIMIT ?", count).fetchall()
        return [row_of(record) for record in reversed(found)]

    def of(self, uid: int, count: int) -> list[AuditRow]:
        """The last rows of this OS user, oldest first, among the log's ``LOOKED_AT`` newest."""
        newest = "number > (SELECT coalesce(max(number), 0) FROM audit) - ?"
        with self._open() as connection:
            wanted = f"WHERE {newest} AND uid = ? ORDER BY number DESC LIMIT ?"
            found = rows(connection, wanted, LOOKED_AT, uid, count).fetchall()
        return [row_of(record) for record in reversed(found)]

    def about(self, *documents: str) -> list[AuditRow]:
        """The rows about one of these documents, oldest first."""
        wanted = f"WHERE document IN ({', '.join('?' * len(documents))}) ORDER BY number"
        with self._open() as connection:
            return [row_of(record) for record in rows(connection, wanted, *documents)]

    def export(self) -> Iterator[str]:
        """Each row as one line of JSON, always with all fields in the same order.

        The last line's hash is the head: kept on another machine, it shows later whether the log was rewritten.
        """
        with self._open() as connection:
            for record in rows(connection, "ORDER BY number"):
                values = dict(zip(COLUMNS, record_of(row_of(record)), strict=True))
                yield json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    def verify(self, sent: Iterable[Head] = ()) -> Head:
        """Check the whole chain, against the heads beside it and those that were ``sent`` elsewhere; give its own head.

        Raises AuditHeadBroken too, for a head that is not there or not cardd's.
        """
        with self._open() as connection:
            noted = self._heads.read(must_be_sealed=self._heads.has_key and is_sealed(connection))
            reached = verified(connection, *(one.head for one in noted if one.head), *sent)
            for broken in faults(noted, reached, format_of(connection, self._directory / FILE)):
                raise broken.error()
        return reached

    def breaks(self) -> list[AuditRow]:
        """Return the rows from which on the log went on after it was found broken."""
        with self._open() as connection:
            return [row_of(record) for record in rows(connection, "WHERE action = ? ORDER BY number", BREAK)]

    def leaves_a_seal_unchecked(self) -> bool:
        """Return whether a head has a seal, and the key to check it with was not given."""
        return not self._heads.has_key and any(one.is_sealed for one in self._heads.read())

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self._directory / FILE
        with reported(), contextlib.ExitStack() as opened:
            # nothing was ever recorded, or the file was taken away: then the head tells
            ensure_files(self._directory)
            name = f"file:{quote(str(path))}?mode=ro" if path.exists() else ":memory:"
            connection = opened.enter_context(contextlib.closing(sqlite3.connect(name, uri=True)))
            if format_of(connection, path) == 0:
                connection = opened.enter_context(contextlib.closing(sqlite3.connect(":memory:")))
                connection.executescript(FORMATS[0])
            yield connection
