"""Reading the audit log, whether a daemon writes it meanwhile or not: for support, and for copies kept elsewhere."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from cardd.core import audit
from cardd.core.audit import EMPTY, Head
from cardd.model import AuditRow
from cardd.system.audit_file import COLUMNS, FILE, SCHEMA, SELECT, read_head, record_of, reported, row_of


class AuditReader:
    """The log of one directory, opened read-only for each call. All methods raise AuditUnavailable and AuditBroken."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def tail(self, count: int) -> list[AuditRow]:
        """The last rows, oldest first."""
        with self._open() as connection:
            found = connection.execute(f"{SELECT} ORDER BY number DESC LIMIT ?", (count,)).fetchall()
        return [row_of(record) for record in reversed(found)]

    def export(self) -> Iterator[str]:
        """Each row as one line of JSON, always with all fields in the same order.

        The last line's hash is the head: kept on another machine, it shows later whether the log was rewritten.
        """
        with self._open() as connection:
            for record in connection.execute(f"{SELECT} ORDER BY number"):
                values = dict(zip(COLUMNS, record_of(row_of(record)), strict=True))
                yield json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    def verify(self) -> Head:
        """Check the whole chain, also against the noted head; gives its own head. Reasons: ``cardd.core.audit``."""
        noted = read_head(self._directory) or EMPTY
        with self._open() as connection:
            return audit.verify(map(row_of, connection.execute(f"{SELECT} ORDER BY number")), noted)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self._directory / FILE
        with reported():
            if path.exists():
                connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
            else:  # nothing was ever recorded, or the file was taken away: then the head tells
                connection = sqlite3.connect(":memory:")
                connection.executescript(SCHEMA)
            with contextlib.closing(connection):
                yield connection
