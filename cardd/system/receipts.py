"""The receipts in the audit log's file: kept in the commit of their rows, bounded in time and room.

What is sealed is given up first where room is short: that something was signed is known for longer.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from cardd.model import Receipt

LIFETIME = timedelta(hours=24)
RECEIPTS_MAX = 16384
SEALED_MAX = 4 * 1024 * 1024  # bytes
PRUNE_EVERY, PRUNE_AFTER = 256, timedelta(hours=1)  # receipts, or the time since the last pruning

INSERT = "INSERT OR REPLACE INTO receipt (name, request, at, row, sealed) VALUES (?, ?, ?, ?, ?)"
FIND = "SELECT request, at, sealed, row FROM receipt WHERE name = ? AND at > ?"
PRUNE = """
DELETE FROM receipt WHERE at <= :ended;
DELETE FROM receipt WHERE name IN (SELECT name FROM receipt ORDER BY row DESC LIMIT -1 OFFSET :receipts_max);
UPDATE receipt SET sealed = NULL WHERE name IN (
    SELECT name FROM (SELECT name, sum(length(sealed)) OVER (ORDER BY row DESC) AS room FROM receipt)
    WHERE room > :sealed_max
) AND sealed IS NOT NULL;
"""


class Receipts:
    """The receipts behind one connection; used by one thread at a time."""

    def __init__(
        self, connection: sqlite3.Connection, *, receipts_max: int = RECEIPTS_MAX, sealed_max: int = SEALED_MAX
    ) -> None:
        self._connection = connection
        self._receipts_max = receipts_max
        self._sealed_max = sealed_max
        self._until_pruned = 0  # the first one kept after the log was opened prunes
        self._pruned = datetime.min.replace(tzinfo=UTC)
        self._known = {_begin(name) for (name,) in connection.execute("SELECT name FROM receipt")}

    def may_know(self, name: bytes) -> bool:
        """Return whether there may be one of this name: most often there is none, and the disk need not be asked."""
        return _begin(name) in self._known

    def keep(self, receipt: Receipt, row: int) -> None:
        """Keep it in the open transaction, beside the rows from this one on."""
        if self._until_pruned == 0 or receipt.at - self._pruned >= PRUNE_AFTER:
            self._prune(receipt.at)
            self._until_pruned, self._pruned = PRUNE_EVERY, receipt.at
        self._until_pruned -= 1
        values = (receipt.name, receipt.request, int(receipt.at.timestamp()), row, receipt.sealed)
        self._connection.execute(INSERT, values)
        self._known.add(_begin(receipt.name))

    def find(self, name: bytes, now: datetime) -> Receipt | None:
        """Return the one of this name that is not too old; None where there is none."""
        found = self._connection.execute(FIND, (name, _ended(now))).fetchone()
        if found is None:
            return None
        request, at, sealed, row = found
        return Receipt(name, request, datetime.fromtimestamp(at, UTC), sealed, row)

    def _prune(self, now: datetime) -> None:
        values = {"ended": _ended(now), "receipts_max": self._receipts_max, "sealed_max": self._sealed_max}
        for statement in filter(None, map(str.strip, PRUNE.split(";"))):
            self._connection.execute(statement, values)
        self._known = {_begin(name) for (name,) in self._connection.execute("SELECT name FROM receipt")}


def _begin(name: bytes) -> int:
    return int.from_bytes(name[:8])


def _ended(now: datetime) -> int:
    return int((now - LIFETIME).timestamp())
