"""GET /v1/status, and the API's own description."""

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


async def describe(call: Call) -> Reply:
    """OpenAPI 3.1, made from the route table and the schemas."""
    from cardd.api.openapi import document  # noqa: PLC0415 - seldom asked for

    return Reply(body=document(call.services.version))
