"""/v1/clients for pages, and /v1/origins: how a page proves itself and is let in, and what its user sees and ends."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from cardd.api import events
from cardd.api.answers import Reply
from cardd.api.call import Call, Page, Shape
from cardd.api.schemas import Body
from cardd.api.schemas.clients import (
    AllowBody,
    ChallengeAnswer,
    ChallengeBody,
    KeyListed,
    OriginAnswer,
    OriginBody,
    OriginListed,
    OriginsAnswer,
    TicketAnswer,
    TicketBody,
)
from cardd.core.origins import Standing
from cardd.core.page_keys import page_key
from cardd.errors import ClientNotFound, Forbidden, InvalidRequest, SiteNotFound
from cardd.model import CallerKey, CallerKind, Right, Rights

CHALLENGE_BODY = Shape(ChallengeBody)
TICKET_BODY = Shape(TicketBody)
ALLOW_BODY = Shape(AllowBody)
KEY = "key"


async def challenge(call: Call, _: ChallengeBody) -> Reply:
    """Give a page what it has to sign with its key."""
    if call.page is None:
        raise Forbidden
    given = call.parts.origins.passes.challenge(call.page.origin, call.peer)
    return Reply(201, ChallengeAnswer(given.value, given.expires_at))


async def enter(call: Call, page: Page, body: Body) -> Reply:
    """Give a pass to a page that proves its key; the person is asked about a new one, and about more rights."""
    if not isinstance(body, OriginBody):
        raise InvalidRequest(where="$.name", why="unknown")
    if body.page_key is None or body.proof is None:
        raise InvalidRequest(where="$.proof" if body.page_key else "$.page_key", why="missing")
    key, address = page_key(body.page_key.x, body.page_key.y), call.http.headers["Host"]
    origins = call.parts.origins
    caller = call.who = origins.proven(key, body.proof, page.origin, call.peer, address=address)
    entered = await origins.enter(caller, body.rights, asks=body.ask)
    answer = OriginAnswer(page.origin, _names(entered.rights), entered.given.value, entered.given.expires_at)
    answer.until = entered.until or UNSET
    return Reply(201, answer)


async def ticket(call: Call, _: TicketBody) -> Reply:
    """Give a page what opens one stream of events, where the browser lets it send no header."""
    if call.caller.kind is not CallerKind.ORIGIN:
        raise Forbidden
    events.ensure_room(call)  # a browser does not tell its page why it was given no stream
    given = call.parts.origins.passes.ticket(call.caller)
    return Reply(201, TicketAnswer(given.value, given.expires_at))


async def everyone(call: Call) -> Reply:
    """Return how each origin stands with the asking user; to look at the status page is no act of its own."""
    if call.page is None:
        call.parts.trail.origins_listed(call.caller)
    return Reply(body=OriginsAnswer([_listed(one) for one in call.parts.origins.standings(call.peer.uid)]))


async def allow(call: Call, body: AllowBody) -> Reply:
    """Ask the person to let an origin in, whose page has not come yet."""
    return Reply(201, _listed(await call.parts.origins.allow(body.origin, call.peer, body.rights)))


async def revoke(call: Call) -> Reply:
    """Shut out an origin, or one key of it: its sessions and streams end at once."""
    origin = call.path["id"]
    try:
        call.parts.origins.revoke(CallerKey(call.peer.uid, origin), call.query.get(KEY))
    except ClientNotFound:
        raise SiteNotFound(origin=origin) from None
    return Reply(204)


def _listed(one: Standing) -> OriginListed:
    keys = [KeyListed(key.id, _names(key.rights), key.since, key.until, key.used) for key in one.keys]
    return OriginListed(one.origin, one.is_listed, one.is_active, one.is_refused, _names(one.rights), keys)


def _names(rights: Iterable[Right] | Rights) -> list[Right]:
    """Return the rights as the API writes them, in their order."""
    found = frozenset(rights)
    return [right for right in Right if right in found]
