"""/v1/sessions: opening, looking at and closing sessions, and the tokens that a session gives."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal, cast

from msgspec import UNSET

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.sessions import (
    ActingBody,
    AuthTokenAnswer,
    AuthTokenBody,
    IdentityAnswer,
    OrganisationAnswer,
    PscTokenAnswer,
    PscTokenBody,
    PushBody,
    SessionAnswer,
    SessionBody,
    SessionLockBody,
    SessionsAnswer,
    SituationAnswer,
    SituationBody,
)
from cardd.core.clients import PSC_TOKEN, SESSIONS
from cardd.core.presence import ensure_waited_for
from cardd.core.session import Session
from cardd.errors import CarddError, InvalidRequest
from cardd.identity.ecps.login import Request
from cardd.identity.ecps.provider import Flow, PscChannel, Wanted
from cardd.model import Identity, Situation
from cardd.request import current
from cardd.values import asdict

SESSION_BODY = Shape(SessionBody)
PUSH_BODY = Shape(PushBody)
LOCK_BODY = Shape(SessionLockBody)
SITUATION_BODY = Shape(SituationBody)
AUTH_TOKEN_BODY = Shape(AuthTokenBody)
PSC_TOKEN_BODY = Shape(PscTokenBody)
OF_PSC = ("login_hint", "remember_login_hint", "flow", "channel")
NOT_TOLD = Identity("", "", "")
WEB_EID = "web-eid:1.0"


async def open_one(call: Call, body: SessionBody) -> Reply:
    """Log in. The answer is the only place where the token is whole."""
    if body.method != "ecps":
        await call.parts.readers.every.look()
    try:
        session, token = await _login(call, body)
    except CarddError:
        asked = current()
        if asked is None or asked.session is None:  # else the end of its session tells how the login went
            call.parts.observer.logged_in(body.method, "failed")
        raise
    await _agreed(call, session, body)
    try:
        ensure_waited_for()
    except CarddError:
        call.parts.sessions.close(session, "client_gone")  # nobody will ever have its token
        raise
    answer = described(call, session)
    answer.token = token
    return Reply(202 if session.pending else 201, answer, {"Location": f"/v1/sessions/{session.id}"})


async def _login(call: Call, body: SessionBody) -> tuple[Session, str]:
    if body.method == "cpx":
        _expect(body.acting is None, "$.acting", "unknown")
        _expect_none(body, OF_PSC)
        return await call.parts.logins.cpx.open(call.caller, body.card)
    _expect(body.card is None, "$.card", "unknown")
    if body.method == "ecps":
        _expect(body.acting is None, "$.acting", "unknown")
        return await call.parts.logins.ecps.open(call.caller, _through_psc(body))
    _expect_none(body, (*OF_PSC, "situation"))
    if body.acting is None:
        raise InvalidRequest(where="$.acting", why="missing")
    return await call.parts.logins.csa.open(call.caller, _acting(body.acting))


def _expect(holds: bool, where: str, why: str) -> None:
    if not holds:
        raise InvalidRequest(where=where, why=why)


def _expect_none(body: SessionBody, names: tuple[str, ...]) -> None:
    for name in names:
        _expect(getattr(body, name) is None, f"$.{name}", "unknown")


async def _agreed(call: Call, session: Session, body: SessionBody) -> None:
    """Ask the person what else the login wants; a person who refuses has no session."""
    if session.pending is not None:
        return  # e-CPS asks when the person has agreed on the mobile
    try:
        if body.situation is not None:
            await call.parts.situations.pick(session, body.situation)
        if body.assertions:
            await call.parts.consents.assertions(session)
    except BaseException:
        call.parts.sessions.close(session, "logout")
        raise


def _through_psc(body: SessionBody) -> Request:
    wanted = Wanted(
        body.login_hint, Flow(body.flow or Flow.MOBILE.value), PscChannel(body.channel) if body.channel else None
    )
    return Request(wanted, body.situation, remember=bool(body.remember_login_hint), assertions=body.assertions)


def _acting(body: ActingBody) -> Identity:
    return Identity(
        national_id=body.national_id,
        family_name=body.family_name,
        given_name=body.given_name,
        profession=body.profession,
        specialty=body.specialty,
    )


async def everyone(call: Call) -> Reply:
    """Return the sessions of the asking OS user, without tokens; of another client's, not whom they stand for."""
    sees_all = call.parts.clients.is_permitted(call.caller, SESSIONS)
    return Reply(
        body=SessionsAnswer(
            [
                described(call, session)
                if sees_all or session.caller.key == call.caller.key
                else outlined(call, session)
                for session in call.parts.sessions.of(call.peer.uid)
            ]
        )
    )


async def show(call: Call) -> Reply:
    """Return state and identity."""
    return Reply(body=described(call, call.session))


async def push(call: Call, _: PushBody) -> Reply:
    """Wake the mobile once more: the answer has the new digits."""
    await call.parts.logins.ecps.push_again(call.session)
    return Reply(body=described(call, call.session))


async def situate(call: Call, body: SituationBody) -> Reply:
    """Have the person act in this situation of theirs from now on."""
    await call.parts.situations.read(call.session)
    call.parts.sessions.situate(call.session, body.id)
    return Reply(body=described(call, call.session))


async def forget_login_hint(call: Call) -> Reply:
    """Forget the national id that the asking OS user had kept."""
    call.parts.logins.ecps.hints.forget(call.peer.uid)
    return Reply(204)


async def close(call: Call) -> Reply:
    """Log out: the card is de-authenticated when this is answered."""
    call.parts.sessions.close(call.session, "logout")
    await call.parts.sessions.settle()
    return Reply(204)


async def lock(call: Call, _: SessionLockBody) -> Reply:
    """Lock, as the screen's lock does: the PIN is forgotten, and the next operation asks for it."""
    if call.session.card is None:  # no PIN would unlock it
        raise InvalidRequest(where="{id}", why="unfit")
    call.parts.sessions.lock(call.session)
    await call.parts.sessions.settle()
    return Reply(204)


def described(call: Call, session: Session) -> SessionAnswer:
    """Return a session for the client that opened it."""
    pending, answer = session.pending, outlined(call, session)
    answer.identity = identity_answer(session.identity)
    answer.binding_message = (pending and pending.binding_message) or UNSET
    answer.authorization_url = (pending and pending.authorization_url) or UNSET
    answer.start_url = (pending and pending.start_url) or UNSET
    answer.situations = [_situation(one) for one in session.situations] or UNSET
    answer.situation = session.situation.id if session.situation else UNSET
    return answer


def outlined(call: Call, session: Session) -> SessionAnswer:
    """Return what any program of the session's OS user may know of it: that it is there, and whose; nobody's name."""
    return SessionAnswer(
        id=session.id,
        method=cast(Literal["cpx", "csa", "ecps"], session.method),
        state=session.state.value,
        opened_at=session.opened_at,
        expires_at=call.parts.sessions.expires_at(session),
        identity=identity_answer(NOT_TOLD),
        card=session.card.id if session.card else None,
        client=session.caller.name,
    )


def _situation(situation: Situation) -> SituationAnswer:
    told = {field: value for field, value in asdict(situation).items() if value is not None and field != "title"}
    return SituationAnswer(**told)


def identity_answer(identity: Identity) -> IdentityAnswer:
    """Return, field by field, what a page or an LPS may know of the holder."""
    organisation = identity.organisation
    return IdentityAnswer(
        national_id=identity.national_id,
        family_name=identity.family_name,
        given_name=identity.given_name,
        title=identity.title,
        profession=identity.profession,
        specialty=identity.specialty,
        card_type=identity.card_type,
        card_type_name=identity.card_type_name,
        card_number=identity.card_number,
        is_test=identity.is_test,
        is_declared=identity.is_declared,
        organisation=OrganisationAnswer(organisation.identifier, organisation.kind, organisation.name)
        if organisation
        else UNSET,
    )


async def issue_auth_token(call: Call, body: AuthTokenBody) -> Reply:
    """Issue a Web EID token (web-eid:1.0) for the caller's own origin and its nonce."""
    signed = await call.parts.signing.authenticate(call.session, body.nonce)
    return Reply(
        body=AuthTokenAnswer(
            unverifiedCertificate=b64encode(signed.certificate).decode(),
            algorithm=signed.algorithm.value,
            signature=b64encode(signed.signature).decode(),
            format=WEB_EID,
            appVersion=f"urn:cardd:app:{call.parts.version}",
        )
    )


async def give_psc_token(call: Call, body: PscTokenBody) -> Reply:
    """Give a paired program that was approved for it PSC's access token, or one for a configured API."""
    call.parts.clients.check_permission(call.caller, PSC_TOKEN)
    given = await call.parts.logins.ecps.token(call.session, body.api)
    return Reply(body=PscTokenAnswer(given.token, given.kind, given.expires_at or UNSET))
