"""/v1/support: the one-time codes of support of this workstation, the log, and traces of what happens."""

from __future__ import annotations

import contextlib

from aiohttp import web
from msgspec import UNSET

from cardd.api.access import administrator
from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.events import server_sent
from cardd.api.schemas.workstation import (
    EnrolmentAnswer,
    LogAnswer,
    LogLine,
    SupportAnswer,
    SupportBody,
    TraceBody,
)
from cardd.core.events import Subscription
from cardd.core.owners import is_administrator
from cardd.core.support import Privilege
from cardd.core.trace import Content
from cardd.errors import PcscUnavailable, ReaderNotYours

SUPPORT_BODY = Shape(SupportBody)

TRACE_BODY = Shape(TraceBody)


async def show(call: Call) -> Reply:
    """Return whether codes are demanded and can be given."""
    standing = await call.parts.support.standing(call.caller)
    return Reply(body=SupportAnswer(standing.demanded, standing.enrolled, standing.locked))


async def enrol(call: Call, _: SupportBody) -> Reply:
    """Begin to enrol: the secret goes to the phone; an earlier secret serves until the confirmation."""
    begun = await call.parts.support.enrol(call.caller, call.support_code)
    return Reply(201, EnrolmentAnswer(begun.address, begun.expires_at))


async def confirm(call: Call, _: SupportBody) -> Reply:
    """End the enrolment, with the first code of the new secret."""
    await call.parts.support.confirm(call.caller, call.support_code)
    return Reply(204)


async def remove(call: Call) -> Reply:
    """Forget the secret."""
    await call.parts.support.remove(call.caller, call.support_code)
    return Reply(204)


async def logs(call: Call) -> Reply:
    """Return the log's last lines; whole ones for administrators, to whom the journal shows them too.

    Raises ReaderNotYours.
    """
    if not call.parts.readers.of(call.caller).is_owner:
        raise ReaderNotYours
    is_masked = call.query.get("masked") == "true" or not is_administrator(call.peer.uid)
    lines = [
        LogLine(one.at, one.level, one.logger, one.masked if is_masked else one.text, one.request or UNSET)
        for one in call.parts.logbook.lines(call.query.get("request"))
    ]
    return Reply(body=LogAnswer(is_masked, lines))


async def trace(call: Call, body: TraceBody) -> web.StreamResponse:
    """Send each step as it happens: exchanges with cards, dialogs, servers, requests.

    The full trace names the holder: for administrators, recorded, with a code of support. Raises ReaderNotYours.
    """
    content = Content.FULL if body.full else Content.MASKED if body.masked else Content.NONE
    if not call.parts.readers.of(call.caller).is_owner:
        raise ReaderNotYours
    if body.full:
        administrator(call)
        await call.parts.support.demand(Privilege.TRACE_FULL, call.caller, call.support_code)

    def follow() -> Subscription:
        """Begin with the readers and cards that are there."""
        followed = call.parts.trace.follow(call.caller.key, content)
        with contextlib.suppress(PcscUnavailable):
            if content is not Content.NONE:
                call.parts.readers.every.read_anew()  # a recording that begins in the middle opens no card
            for state in call.parts.readers.of(call.caller).readers():
                followed.offer(call.parts.trace.present(state.reader.name, state.card.atr if state.card else b""))
        return followed

    return await server_sent(call, follow)
