"""/v1/sessions: opening, looking at and closing sessions."""

from __future__ import annotations

from typing import Literal, cast

from msgspec import UNSET

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.identities import described as identity
from cardd.api.schemas import ActingBody, SessionAnswer, SessionBody, SessionsAnswer
from cardd.core.sessions import Session
from cardd.errors import InvalidRequest
from cardd.model import Identity

SHAPE = Shape(SessionBody)


async def open_one(call: Call, body: SessionBody) -> Reply:
    """Ask for the PIN; the answer is the only place where the token is whole."""
    session, token = await _login(call, body)
    answer = described(call, session)
    answer.token = token
    return Reply(202 if session.pending else 201, answer, {"Location": f"/v1/sessions/{session.id}"})


async def _login(call: Call, body: SessionBody) -> tuple[Session, str]:
    if body.method == "cpx":
        _expect(body.acting is None, "$.acting", "unknown")
        _expect(body.login_hint is None, "$.login_hint", "unknown")
        return await call.services.logins.cpx.open(call.caller, body.card)
    _expect(body.card is None, "$.card", "unknown")
    if body.method == "ecps":
        _expect(body.acting is None, "$.acting", "unknown")
        if body.login_hint is None:
            raise InvalidRequest(where="$.login_hint", why="missing")
        return await call.services.logins.ecps.start(call.caller, body.login_hint)
    _expect(body.login_hint is None, "$.login_hint", "unknown")
    if body.acting is None:
        raise InvalidRequest(where="$.acting", why="missing")
    return await call.services.logins.csa.open(call.caller, _acting(body.acting))


def _expect(holds: bool, where: str, why: str) -> None:
    if not holds:
        raise InvalidRequest(where=where, why=why)


def _acting(body: ActingBody) -> Identity:
    return Identity(
        national_id=body.national_id,
        family_name=body.family_name,
        given_name=body.given_name,
        profession=body.profession,
        specialty=body.specialty,
    )


async def everyone(call: Call) -> Reply:
    """The sessions of the asking OS user, without their tokens."""
    return Reply(body=SessionsAnswer([described(call, s) for s in call.services.sessions.of(call.peer.uid)]))


async def show(call: Call) -> Reply:
    """State and identity."""
    return Reply(body=described(call, call.session))


async def close(call: Call) -> Reply:
    """Log out: the card is de-authenticated when this is answered."""
    call.services.sessions.close(call.session, "logout")
    await call.services.sessions.settle()
    return Reply(204)


def described(call: Call, session: Session) -> SessionAnswer:
    """A session as the API shows it."""
    return SessionAnswer(
        id=session.id,
        method=cast(Literal["cpx", "csa", "ecps"], session.method),
        state=session.state.value,
        opened_at=session.opened_at,
        expires_at=call.services.sessions.expires_at(session),
        identity=identity(session.identity),
        card=session.card.id if session.card else None,
        client=session.caller.name,
        binding_message=session.pending.binding_message if session.pending else UNSET,
    )
