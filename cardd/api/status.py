"""GET /v1/status."""

from __future__ import annotations

from cardd.api.call import Call, Reply
from cardd.api.schemas import StatusAnswer
from cardd.errors import PcscUnavailable


async def show(call: Call) -> Reply:
    """That we are here, and whether there are readers; nothing of this workstation."""
    try:
        ready = bool(call.services.readers.readers())
    except PcscUnavailable:
        ready = False
    return Reply(body=StatusAnswer("cardd", call.services.version, "ready" if ready else "no_readers"))
