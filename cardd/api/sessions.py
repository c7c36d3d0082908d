"""/v1/sessions: opening, looking at and closing sessions."""

from __future__ import annotations

from typing import Literal, cast

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.identities import described as identity
from cardd.api.schemas import SessionAnswer, SessionBody, SessionsAnswer
from cardd.core.sessions import Session

SHAPE = Shape(SessionBody)


async def open_one(call: Call, body: SessionBody) -> Reply:
    """Ask for the PIN; the answer is the only place where the token is whole."""
    session, token = await call.services.login.open(call.caller, body.card)
    answer = described(call, session)
    answer.token = token
    return Reply(201, answer, {"Location": f"/v1/sessions/{session.id}"})


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
        method=cast(Literal["cpx"], session.method),
        state=session.state.value,
        opened_at=session.opened_at,
        expires_at=call.services.sessions.expires_at(session),
        identity=identity(session.identity),
        card=session.card.id,
        client=session.caller.name,
    )
