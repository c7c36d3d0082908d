"""POST /v1/support/traces: the exchanges with the cards as they happen, for support."""

from __future__ import annotations

from aiohttp import web

from cardd.api.access import administrator
from cardd.api.body import Shape
from cardd.api.call import Call
from cardd.api.schemas.support import TraceBody
from cardd.api.streaming import server_sent
from cardd.core.support import Privilege

SHAPE = Shape(TraceBody)


async def follow(call: Call, body: TraceBody) -> web.StreamResponse:
    """Stay on the line and tell. The full trace names the holder: for administrators, recorded, with a support code."""
    if body.full:
        administrator(call)
        await call.services.support.demand(Privilege.TRACE_FULL, call.caller, call.support_code)
    return await server_sent(call, lambda: call.services.trace.follow(full=body.full))
