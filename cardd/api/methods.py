"""/v1/methods: which way to log in serves here now, what to do about the others, and which suits a use."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace as with_changes

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas.workstation import (
    AdviceAnswer,
    EcpsCheckAnswer,
    EcpsCheckBody,
    ExpiringAnswer,
    MethodAnswer,
    MethodsAnswer,
)
from cardd.errors import InvalidRequest
from cardd.i18n import language_of, text
from cardd.identity.advice import TABLE, Advice, Use, advised
from cardd.identity.methods import MethodState

CHECK = Shape(EcpsCheckBody)


async def everyone(call: Call) -> Reply:
    """Each method with its state; with ``?use=`` the best for that use first, each with its reasons."""
    language = language_of(call.http.headers.get("Accept-Language"))
    use = _use(call.query.get("use"))
    states = await call.services.methods.states()
    answers = [_described(state, language) for state in states]
    if use is None:
        body = MethodsAnswer(answers)
    else:
        known = {answer.method: answer for answer in answers}
        listed = [with_changes(known[advice.method], advice=_explained(advice, language)) for advice in TABLE[use]]
        body = MethodsAnswer(listed, advised(use, states))
    return Reply(body=body, headers={"Content-Language": language})


async def check(call: Call, _: EcpsCheckBody) -> Reply:
    """Whether a login by e-CPS could begin; nobody is asked, nothing is woken."""
    found = await call.services.logins.ecps.examine()
    ahead = UNSET if found.reach.ahead is None else found.reach.ahead
    return Reply(body=EcpsCheckAnswer(found.reach.mobile, found.resumes, ahead))


def _use(wanted: str | None) -> Use | None:
    if wanted is None:
        return None
    if wanted not in list(Use):
        raise InvalidRequest(where="?use", why="expected", expected=", ".join(Use))
    return Use(wanted)


def _explained(advice: Advice, language: str) -> AdviceAnswer:
    reasons = [text(f"advice.{reason}", language) for reason in advice.reasons]
    return AdviceAnswer(advice.fit.value, reasons, list(advice.together_with))


def _described(state: MethodState, language: str) -> MethodAnswer:
    problem = state.problem
    return MethodAnswer(
        method=state.method,
        usable=problem is None,
        problem=problem.code if problem else UNSET,
        detail=text(f"{problem.code}.detail", language, **problem.params) if problem else UNSET,
        remedy=text(f"{problem.code}.remedy", language, **problem.params) if problem else UNSET,
        expiring=[ExpiringAnswer(one.serial, one.not_after, one.days) for one in state.expiring] or UNSET,
    )
