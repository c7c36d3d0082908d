"""Codes of support, and traces."""

from __future__ import annotations

from datetime import datetime

from cardd.api.schemas.base import Answer, Body


class SupportBody(Body):
    """POST /v1/support/enrolment and …/confirmation: the code comes in a header."""


class TraceBody(Body):
    """POST /v1/support/traces; ``full`` adds what was sent and answered, but never a code."""

    full: bool = False


class SupportAnswer(Answer):
    """GET /v1/support/enrolment; ``locked`` is for how many seconds no code is looked at."""

    demanded: bool
    enrolled: bool
    locked: int


class EnrolmentAnswer(Answer):
    """An enrolment that waits for its first code; ``address`` (otpauth://…) holds the secret, shown this once."""

    address: str
    expires_at: datetime
