"""The request cannot be served as it stands."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

# why a field will not do: what stands after the colon
_UNFIT: Words = {
    "why": {
        "base64": N_("it is not base64"),
        "choice": N_("its value is none of those that it can have"),
        "duplicate": N_("it is given twice"),
        "expected": N_("expected {expected}"),
        "handshake": N_("this is no WebSocket handshake of version 13 without subprotocol"),
        "invisible": N_("it has characters that cannot be seen"),
        "length": N_("its length must be {expected}"),
        "missing": N_("it is missing"),
        "not_of_format": N_("this field is not of this format"),
        "document_wanted": N_("this format needs the document, not its digest"),
        "one_of_digest_document": N_("exactly one of “digest”, “document” and “document_id” is wanted"),
        "parameters": N_("there are too many parameters"),
        "pattern": N_("it must match {expected}"),
        "shows_nothing": N_("it has neither a letter nor a digit"),
        "too_many": N_("one consent covers {limit} signatures at most"),
        "unfit": N_("its value does not fit"),
        "unknown": N_("it is unknown"),
    }
}


class RequestError(CarddError):
    """The request cannot be served as it stands."""

    status = 400


class NotJson(RequestError):
    """The body is not a JSON document."""

    code = "request.not_json"
    title = N_("Unreadable request")
    detail = N_("The body of the request is not a JSON document.")
    remedy = N_("Correct the calling program: it must send JSON in UTF-8.")


class BodyTooDeep(RequestError):
    """The body nests deeper than the API ever needs."""

    code = "request.too_deep"
    title = N_("Request nested too deep")
    detail = N_("The body of the request nests deeper than any call needs.")
    remedy = N_("Correct the calling program after /openapi.json.")


class BodyTooLarge(RequestError):
    """The body passes the configured limit."""

    code = "request.too_large"
    status = 413
    title = N_("Request too large")
    detail = N_("The body of the request passes {limit} bytes.")
    remedy = N_("Send the digest in place of the document, or raise listen.max_body in the configuration.")

    limit: int  # bytes


class RequestTimeout(RequestError):
    """The body did not arrive in time."""

    code = "request.timeout"
    status = 408
    retryable = True
    title = N_("Request too slow")
    detail = N_("The body of the request did not arrive in time.")
    remedy = N_("Send the request again, in one go.")


class InvalidRequest(RequestError):
    """A field is unknown, missing or of the wrong type."""

    code = "request.invalid"
    status = 422
    title = N_("Invalid request")
    detail = N_("The field {where} will not do: {why}.")
    remedy = N_("Correct the calling program after /openapi.json.")
    words = _UNFIT

    where: str  # a JSON path, an option
    why: str  # a word, or what says it without words of a language
    expected: str = ""
    limit: int | None = None  # of how many things, where there may be fewer than were sent


class UnsupportedMediaType(RequestError):
    """A body was sent as something else than ``application/json``."""

    code = "request.media_type"
    status = 415
    title = N_("Content type refused")
    detail = N_("The body of the request is not declared as application/json.")
    remedy = N_("Send the header Content-Type: application/json, without compression.")


class NotFound(RequestError):
    """No such resource."""

    code = "request.not_found"
    status = 404
    title = N_("Unknown address")
    detail = N_("This address is no call and no resource.")
    remedy = N_("Check the address against /openapi.json.")


class MethodNotAllowed(RequestError):
    """The resource exists and has no such method."""

    code = "request.method"
    status = 405
    title = N_("Method not allowed")
    detail = N_("This address takes only: {allowed}.")
    remedy = N_("Correct the calling program after /openapi.json.")

    allowed: str


class Forbidden(RequestError):
    """Wrong Host, foreign Origin, or another user's process: all get the same terse answer."""

    code = "request.forbidden"
    status = 403
    title = N_("Forbidden")
    detail = N_("This call is not allowed.")
    remedy = N_("A page must be allowed by the configuration or by the user; a program must call as this user.")


class TooManyRequests(RequestError):
    """This caller already has as much under way as one caller may."""

    code = "request.too_many"
    status = 429
    retryable = True
    title = N_("Too many requests")
    detail = N_("This program already has as many requests under way as it may.")
    remedy = N_("Wait {retry_after} s, then try again.")

    retry_after: int  # seconds


class CallerLeft(RequestError):
    """Nobody waits for the answer any more: the connection was lost while a person was asked. Nothing was signed."""

    code = "request.abandoned"
    status = 408
    retryable = True
    title = N_("Request abandoned")
    detail = N_("The program hung up while the user was asked; the dialog was closed.")
    remedy = N_("Start again, and keep the connection until the answer comes.")


class IdempotencyKeyReused(RequestError):
    """An Idempotency-Key came a second time, with another body."""

    code = "request.idempotency_key_reused"
    status = 422
    title = N_("Idempotency key used again")
    detail = N_("The same Idempotency-Key came before with another request.")
    remedy = N_("Give each new operation a key of its own.")
