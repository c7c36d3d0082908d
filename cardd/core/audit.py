"""The audit log's hash chain: what one row's hash covers, and whether a series of rows still holds together.

A row's hash is SHA-256 over the domain, the hash of the row before, and each field that is set, as a name and a text,
every part preceded by its length (8 bytes, big-endian). A field that is None is left out, so that a later cardd may
add fields without breaking old rows.

What this shows, and what not: the chain has no secret key. Whoever changes, removes, moves or inserts a row without
recomputing every later hash is found, and so is a row taken from the end, against the heads kept beside the log and
elsewhere. Somebody who may write all of them, root above all, can rewrite rows, hashes and heads together, if they are
not sealed: only a head that was sent to another machine before can show that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NoReturn

from cardd.errors import AuditBroken
from cardd.model import AuditEntry, AuditRow
from cardd.values import Value

DOMAIN = "cardd audit row 1"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
FIELDS = AuditEntry.__struct_fields__


class Head(Value):
    """How far the log goes: the last row's number and hash."""

    number: int
    hash: str


EMPTY = Head(0, "0" * 64)


def next_row(head: Head, time: datetime, entry: AuditEntry) -> AuditRow:
    """The row that follows ``head``; ``time`` is aware, UTC."""
    number = head.number + 1
    return AuditRow(number, time, entry, row_hash(head.hash, number, time, entry))


def row_hash(previous: str, number: int, time: datetime, entry: AuditEntry) -> str:
    """The hash that chains one row to the row before, whose hash is ``previous``; hex."""
    digest = hashlib.sha256()
    for part in _parts(previous, number, time, entry):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def verify(rows: Iterable[AuditRow], *heads: Head) -> Head:
    """Check rows from the first one on, and that they go through the ``heads`` that were noted; gives their own head.

    Rows behind a noted head are good when they hold together: the note follows the rows.

    Raises AuditBroken with the first bad row's number and why: ``removed`` (a number is missing), ``order`` (a number
    comes again), ``changed`` (the row is not what was chained: changed, moved or inserted), ``removed_at_end``,
    ``head`` (the row that the head names has another hash: the log was rewritten).
    """
    reached = EMPTY
    hashes: dict[int, set[str]] = {}
    for head in heads:
        hashes.setdefault(head.number, set()).add(head.hash)
    for row in rows:
        if row.number > reached.number + 1:
            _broken(reached.number + 1, "removed")
        if row.number <= reached.number:
            _broken(row.number, "order")
        if row.hash != row_hash(reached.hash, row.number, row.time, row.entry):
            _broken(row.number, "changed")
        reached = Head(row.number, row.hash)
        if not hashes.get(reached.number, set()) <= {reached.hash}:
            _broken(row.number, "head")
    if any(reached.number < head.number for head in heads):
        _broken(reached.number + 1, "removed_at_end")
    return reached


def _parts(previous: str, number: int, time: datetime, entry: AuditEntry) -> Iterator[str]:
    yield from (DOMAIN, previous, str(number), time.strftime(TIME_FORMAT))
    for name in FIELDS:
        value = getattr(entry, name)
        if value is not None:
            yield from (name, str(value))


def _broken(row: int, why: str) -> NoReturn:
    raise AuditBroken(row=row, why=why)
