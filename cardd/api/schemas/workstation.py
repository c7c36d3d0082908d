"""What is there: readers, cards, PINs, login methods; and support: its codes, and traces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType

from cardd.api.schemas import Answer, Anything, Body
from cardd.api.schemas.sessions import IdentityAnswer


class PinBody(Body):
    """POST /v1/cards/{id}/pin-changes and …/pin-unblocks: the codes are asked for at the workstation."""


class StatusAnswer(Answer):
    """GET /v1/status: nothing here tells one workstation from another."""

    name: str
    version: str
    state: Literal["ready", "no_readers"]


class ReaderAnswer(Answer):
    """One reader slot; ``card`` is the identifier of the card in it."""

    name: str
    card: str | None


class ReadersAnswer(Answer):
    """GET /v1/readers."""

    readers: list[ReaderAnswer]


class CardAnswer(Answer):
    """One inserted card, without anything of its holder.

    When it cannot be used: the error's code, what it means, and what to do. ``in_use``: another OS user has a session
    open with it, which a login ends.
    """

    id: str
    reader: str
    kind: str
    atr: str
    pin: PinAnswer | UnsetType = UNSET
    problem: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    remedy: str | UnsetType = UNSET
    in_use: Literal["another_user"] | UnsetType = UNSET


class PinAnswer(Answer):
    """The state of the card's PIN, read without spending a try."""

    state: Literal["ready", "last_try", "blocked", "unknown"]
    tries_left: int | None
    minimum: int
    maximum: int


class CardsAnswer(Answer):
    """GET /v1/cards."""

    cards: list[CardAnswer]


class CertificateAnswer(Answer):
    """One certificate of a card: ``der`` in base64, and its main fields."""

    purpose: Literal["authentication", "signature", "technical"]
    label: str
    der: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime


class CertificatesAnswer(Answer):
    """GET /v1/cards/{id}/certificates, once the user consented.

    ``holder`` is null for a card that has only a technical certificate, which speaks for the card itself.
    """

    holder: IdentityAnswer | None
    certificates: list[CertificateAnswer]


class ExpiringAnswer(Answer):
    """A certificate near its end: ``serial`` in hex, ``days`` left, negative once it has ended."""

    serial: str
    not_after: datetime
    days: int


class MissingAnswer(Answer):
    """What a login method needs and the workstation lacks: the method, the error's code, and what to do."""

    method: str
    problem: str
    detail: str
    remedy: str


class AdviceAnswer(Answer):
    """How well one login method suits the use that was asked for, and why, in the caller's language.

    ``missing`` is what it lacks for that use beside what its own session needs: a joined method, or a key.
    """

    fit: Literal["best", "good", "partial", "unsuited"]
    reasons: list[str]
    together_with: list[str]
    missing: list[MissingAnswer]


class MethodAnswer(Answer):
    """One login method; when it is not usable, the error's code, what it means, and what to do.

    A usable method has these too where one of its ways does not work: e-CPS without the mobile (``psc.no_ciba``).
    ``reason`` tells causes of one code apart.
    """

    method: str
    usable: bool
    problem: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    remedy: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    expiring: list[ExpiringAnswer] | UnsetType = UNSET
    advice: AdviceAnswer | UnsetType = UNSET


class MethodsAnswer(Answer):
    """GET /v1/methods; for a use the best comes first, and ``advised`` is the best that works here now."""

    methods: list[MethodAnswer]
    advised: str | UnsetType | None = UNSET


class EcpsCheckBody(Body):
    """POST /v1/methods/ecps/check."""


class EcpsCheckAnswer(Answer):
    """A login by e-CPS could begin: the provider answers, and this service's credentials are here.

    ``mobile``: logins by mobile (CIBA) are possible. ``clock``: the seconds by which the provider's clock is ahead of
    this one's, where it tells. ``resumes``: sessions outlive the daemon, for a keyring keeps their refresh tokens.
    """

    mobile: bool
    resumes: bool
    clock: float | UnsetType = UNSET


class AuditRowAnswer(Answer):
    """One row of the audit log: what, how it ended, for which program, of which request; ``code`` is the error's."""

    number: int
    time: datetime
    action: str
    outcome: Literal["done", "refused", "failed"]
    program: str
    code: str | UnsetType = UNSET
    request: str | UnsetType = UNSET


class AuditAnswer(Answer):
    """GET /v1/audit: the newest first."""

    rows: list[AuditRowAnswer]


class Hello(Answer):
    """The first event on ``/v1/events``: the present readers and cards."""

    available: bool
    readers: list[ReaderAnswer]
    cards: list[CardAnswer]


class Told(Answer):
    """One event in a WebSocket's message; a stream of server-sent events has the type and the data apart."""

    type: str
    data: Mapping[str, Anything]


class SupportBody(Body):
    """POST /v1/support/enrolment and …/confirmation: the code comes in a header."""


class TraceBody(Body):
    """POST /v1/support/traces; ``full`` adds what was sent and answered, ``masked`` without what names anybody.

    No code is ever in it.
    """

    full: bool = False
    masked: bool = False


class LogLine(Answer):
    """One line of the daemon's log; ``request`` is the name of the request that it is of."""

    at: datetime
    level: str
    logger: str
    message: str
    request: str | UnsetType = UNSET


class LogAnswer(Answer):
    """GET /v1/support/logs: the last lines, oldest first; ``masked`` says that they name nobody."""

    masked: bool
    lines: list[LogLine]


class SupportAnswer(Answer):
    """GET /v1/support/enrolment; ``locked`` is for how many seconds no code is looked at."""

    demanded: bool
    enrolled: bool
    locked: int


class EnrolmentAnswer(Answer):
    """An enrolment that waits for its first code; ``address`` (otpauth://…) holds the secret, shown this once."""

    address: str
    expires_at: datetime
