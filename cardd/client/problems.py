"""A problem of the API (RFC 9457) turned back into the error that the daemon raised."""

from __future__ import annotations

from functools import cache

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from cardd.errors import CardAmbiguous, CarddError, InternalError, Param, every_error

TEXTS = ("title", "detail", "remedy")


class Problem(Struct):
    """What a problem may hold; ``code`` is what it is known by."""

    code: str
    title: str = ""
    detail: str = ""
    remedy: str = ""
    where: str | None = None
    reason: str | None = None
    tries_left: int | None = None
    retry_after: int | None = None
    cards: tuple[str, ...] = ()


_decoder = Decoder(Problem)


def error_of(raw: bytes) -> CarddError | None:
    """The error, None when this is no problem of cardd.

    Its ``params`` have the numbers of the problem and, as the daemon wrote them in the caller's language, ``title``,
    ``detail`` and ``remedy``. A code that this version does not know becomes InternalError with the param ``code``.
    """
    try:
        problem = _decoder.decode(raw)
    except DecodeError:
        return None
    error = _error(problem)
    error.params |= _params(problem)
    return error


def _error(problem: Problem) -> CarddError:
    known = _classes().get(problem.code)
    if known is None:
        return InternalError(code=problem.code)
    return CardAmbiguous(problem.cards) if issubclass(known, CardAmbiguous) else known()


def _params(problem: Problem) -> dict[str, Param]:
    params: dict[str, Param] = {name: text for name in TEXTS if (text := getattr(problem, name))}
    for name in ("where", "reason", "tries_left", "retry_after"):
        value = getattr(problem, name)
        if value is not None:
            params[name] = value
    return params


@cache
def _classes() -> dict[str, type[CarddError]]:
    return {error.code: error for error in every_error()}
