"""/v1/support/enrolment: the one-time codes of support of this workstation."""

from __future__ import annotations

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas.support import EnrolmentAnswer, SupportAnswer, SupportBody

SHAPE = Shape(SupportBody)


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
