"""POST …/psc-token: a token of Pro Santé Connect for a program whose pairing was approved for it."""

from __future__ import annotations

from msgspec import UNSET

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas.sessions import PscTokenAnswer, PscTokenBody
from cardd.core.clients import PSC_TOKEN

SHAPE = Shape(PscTokenBody)


async def give(call: Call, body: PscTokenBody) -> Reply:
    """PSC's access token, or one for an API that the configuration names."""
    call.services.clients.check_permission(call.caller, PSC_TOKEN)
    given = await call.services.logins.ecps.opened.token(call.session, body.api)
    return Reply(body=PscTokenAnswer(given.token, given.kind, given.expires_at or UNSET))
