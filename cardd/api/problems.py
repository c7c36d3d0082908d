"""Errors as answers: RFC 9457 problems with a stable code, told in the caller's language."""

from __future__ import annotations

import errno
import logging

from msgspec import UNSET, UnsetType

from cardd.api.answers import PROBLEM, Reply
from cardd.api.schemas import Problem
from cardd.errors import CardAmbiguous, CarddError, DaemonExhausted, InternalError
from cardd.i18n import language_of

TYPE = "urn:cardd:problem:"

_NO_FILE = (errno.EMFILE, errno.ENFILE)
_NO_THREAD = "can't start new thread"  # Python's words for it: its class says nothing

log = logging.getLogger(__name__)


def unforeseen(error: Exception) -> CarddError:
    """Return what is told of an exception that is none of ours, which a handler has raised.

    What this computer gives no more of may be there for the next request; what else it is stays in the journal.
    """
    is_full = isinstance(error, OSError) and error.errno in (*_NO_FILE, errno.ENOMEM)
    if is_full or isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and str(error) == _NO_THREAD):
        why = "files" if isinstance(error, OSError) and error.errno in _NO_FILE else "memory"
        log.warning("a request came to nothing: %s", error if why == "files" else "no memory is left")
        return DaemonExhausted(why=why)
    log.error("a handler failed", exc_info=error)
    return InternalError()


def problem(error: CarddError, accept_language: str) -> Reply:
    """Return the reply to a request that failed."""
    language = language_of(accept_language)
    title, detail, remedy = error.told(language)
    body = Problem(
        type=TYPE + error.code,
        title=title,
        status=error.status,
        detail=detail,
        code=error.code,
        retryable=error.retryable,
        remedy=remedy,
        where=_text(error, "where"),
        reason=_text(error, "reason"),
        right=_text(error, "right"),
        tries_left=_number(error, "tries_left"),
        retry_after=_number(error, "retry_after"),
        limit=_number(error, "limit"),
        cards=list(error.cards) if isinstance(error, CardAmbiguous) else UNSET,
    )
    return Reply(error.status, body, {"Content-Language": language, **_headers(error)}, PROBLEM)


def _headers(error: CarddError) -> dict[str, str]:
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after" in error.params:
        headers["Retry-After"] = str(error.params["retry_after"])
    if "allowed" in error.params:
        headers["Allow"] = str(error.params["allowed"])
    return headers


def _number(error: CarddError, name: str) -> int | UnsetType:
    value = error.params.get(name)
    return value if isinstance(value, int) else UNSET


def _text(error: CarddError, name: str) -> str | UnsetType:
    value = error.params.get(name)
    return value if isinstance(value, str) else UNSET
