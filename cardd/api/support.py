"""/v1/support: the one-time codes of support of this workstation, and the exchanges with the cards as they happen."""

from __future__ import annotations

from aiohttp import web

from cardd.api.access import administrator
from cardd.api.call import Call, Reply, Shape
from cardd.api.events import server_sent
from cardd.api.schemas.workstation import EnrolmentAnswer, SupportAnswer, SupportBody, TraceBody
from cardd.core.support import Privilege

SUPPORT_BODY = Shape(SupportBody)

TRACE_BODY = Shape(TraceBody)


async def show(call: Call) -> Reply:
    """Whether codes are demanded and can be given."""
    standing = await call.services.support.standing()
    return Reply(body=SupportAnswer(standing.demanded, standing.enrolled, standing.locked))


async def enrol(call: Call, _: SupportBody) -> Reply:
    """Begin: the secret goes to the phone; the one before it, if any, serves until the confirmation."""
    begun = await call.services.support.enrol(call.caller, call.support_code)
    return Reply(201, EnrolmentAnswer(begun.address, begun.expires_at))


async def confirm(call: Call, _: SupportBody) -> Reply:
    """End it, with the first code of the new secret."""
    await call.services.support.confirm(call.caller, call.support_code)
    return Reply(204)


async def remove(call: Call) -> Reply:
    """Forget the secret."""
    await call.services.support.remove(call.caller, call.support_code)
    return Reply(204)


async def trace(call: Call, body: TraceBody) -> web.StreamResponse:
    """Stay on the line and tell. The full trace names the holder: for administrators, recorded, with a support code."""
    if body.full:
        administrator(call)
        await call.services.support.demand(Privilege.TRACE_FULL, call.caller, call.support_code)
    return await server_sent(call, lambda: call.services.trace.follow(full=body.full))
