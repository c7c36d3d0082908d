"""GET /v1/status and /v1/methods: is the daemon ready, which login methods serve here, which suits a use."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace as with_changes

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.workstation import (
    AdviceAnswer,
    EcpsCheckAnswer,
    EcpsCheckBody,
    ExpiringAnswer,
    MethodAnswer,
    MethodsAnswer,
    MissingAnswer,
    StatusAnswer,
)
from cardd.errors import CarddError, InvalidRequest, PcscUnavailable
from cardd.i18n import language_of
from cardd.identity.methods import TABLE, Advice, MethodState, Use, advised, missing

CHALLENGE, PROOF = "Cardd-Challenge", "Cardd-Proof"
CHALLENGE_MIN, CHALLENGE_MAX = 32, 128

ECPS_CHECK_BODY = Shape(EcpsCheckBody)


def show(call: Call) -> Reply:
    """Return that the daemon is here, and whether there are readers; nothing of this workstation."""
    try:
        ready = bool(call.parts.readers.every.readers(lambda state: state.user in (None, call.peer.uid)))
    except PcscUnavailable:
        ready = False
    body = StatusAnswer("cardd", call.parts.version, "ready" if ready else "no_readers")
    return Reply(body=body, headers=_proof(call))


def _proof(call: Call) -> dict[str, str]:
    """Return the proof for a paired program that asks, before it sends its secret, whether we know it."""
    client, _, challenge = call.http.headers.get(CHALLENGE, "").partition(" ")
    transport = call.http.transport
    if call.page is not None or call.connection.is_local or transport is None or not client:
        return {}
    if not CHALLENGE_MIN <= len(challenge) <= CHALLENGE_MAX:
        raise InvalidRequest(where=CHALLENGE, why=f"{CHALLENGE_MIN}-{CHALLENGE_MAX}")
    host, port = transport.get_extra_info("sockname")[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {PROOF: call.parts.clients.prove(client, challenge, address, call.peer)}


async def methods(call: Call) -> Reply:
    """Return each login method with its state; with ``?use=`` the best for that use first, each with its reasons."""
    await call.parts.readers.every.look()
    language = language_of(call.http.headers.get("Accept-Language"))
    states = await call.parts.methods.states(call.caller)
    answers = [_described(state, language, with_certificates=call.sees_holder) for state in states]
    if "use" not in call.query:
        body = MethodsAnswer(answers)
    else:
        use = Use(call.query["use"])
        known = {answer.method: answer for answer in answers}
        listed = [
            with_changes(known[advice.method], advice=_explained(advice, states, language)) for advice in TABLE[use]
        ]
        body = MethodsAnswer(listed, advised(use, states))
    return Reply(body=body, headers={"Content-Language": language})


async def check_ecps(call: Call, _: EcpsCheckBody) -> Reply:
    """Return whether a login by e-CPS could begin; nobody is asked, nothing is woken."""
    found = await call.parts.logins.ecps.examine()
    ahead = UNSET if found.reach.ahead is None else found.reach.ahead
    return Reply(body=EcpsCheckAnswer(found.reach.mobile, found.resumes, ahead))


def _explained(advice: Advice, states: list[MethodState], language: str) -> AdviceAnswer:
    lacking = [MissingAnswer(method, *_told(error, language)) for method, error in missing(advice, states)]
    return AdviceAnswer(advice.fit.value, advice.explained(language), list(advice.together_with), lacking)


def _told(error: CarddError, language: str) -> tuple[str, str, str]:
    """Return the error's code, what it means, and what to do."""
    _, detail, remedy = error.told(language)
    return error.code, detail, remedy


def _described(state: MethodState, language: str, *, with_certificates: bool) -> MethodAnswer:
    error = state.problem or state.limit
    problem, detail, remedy = _told(error, language) if error else (UNSET, UNSET, UNSET)
    return MethodAnswer(
        method=state.method,
        usable=state.problem is None,
        problem=problem,
        detail=detail,
        remedy=remedy,
        reason=str(error.params["reason"]) if error and "reason" in error.params else UNSET,
        expiring=(with_certificates and [ExpiringAnswer(one.serial, one.not_after, one.days) for one in state.expiring])
        or UNSET,
    )
