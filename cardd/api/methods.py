"""GET /v1/methods: which way to log in serves here now, and what to do about the others."""

from __future__ import annotations

from msgspec import UNSET

from cardd.api.call import Call, Reply
from cardd.api.schemas import ExpiringAnswer, MethodAnswer, MethodsAnswer
from cardd.i18n import language_of, text
from cardd.identity.methods import MethodState


async def everyone(call: Call) -> Reply:
    """Each method with its state."""
    language = language_of(call.http.headers.get("Accept-Language"))
    answers = [_described(state, language) for state in await call.services.methods.states()]
    return Reply(body=MethodsAnswer(answers), headers={"Content-Language": language})


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
