"""GET /v1/audit: the last rows of the asking OS user, for the status page and cardctl."""

from __future__ import annotations

from msgspec import UNSET

from cardd.api.answers import Reply
from cardd.api.call import Call
from cardd.api.schemas.workstation import AuditAnswer, AuditRowAnswer
from cardd.model import AuditRow

COUNT = 20


async def last(call: Call) -> Reply:
    """Return what was done for this user last, the newest first; no name and no digest of a document."""
    rows = await call.parts.audit.tail(call.peer.uid, COUNT)
    return Reply(body=AuditAnswer([_row(row) for row in reversed(rows)]))


def _row(row: AuditRow) -> AuditRowAnswer:
    entry = row.entry
    answer = AuditRowAnswer(row.number, row.time, entry.action, entry.outcome.value, entry.caller_name or entry.caller)
    answer.code, answer.request = entry.code or UNSET, entry.request or UNSET
    return answer
