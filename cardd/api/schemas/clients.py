"""Pairing of programs, origins of pages, and the list of both."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from cardd.api.schemas import Answer, Body, Identifier, Name
from cardd.core.programs import ProgramRight
from cardd.model import Right

Coordinate = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}(?!\n)$")]


class PairBody(Body):
    """POST /v1/clients from desktop software."""

    name: Name
    vendor: Name
    software_id: Identifier
    permissions: Annotated[list[Literal["psc_token", "sessions"]], Meta(max_length=4)] = field(default_factory=list)


class PageKeyBody(Body):
    """A page's public key, as WebCrypto exports it (JWK, RFC 7517)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate
    ext: bool | None = None
    alg: Literal["ES256"] | None = None
    key_ops: Annotated[list[Literal["verify"]], Meta(max_length=1)] | None = None


class OriginBody(Body):
    """POST /v1/clients from a web page, which its Origin names.

    ``proof`` is a compact JWS by the page's key over a challenge. ``rights`` are what the page wants; by default what
    it has, else to log in and to have documents signed. Without ``ask`` nobody is asked where a consent is missing.
    """

    page_key: PageKeyBody | None = None
    proof: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    rights: Annotated[list[Right], Meta(min_length=1, max_length=5)] | None = None
    ask: bool = True


class ChallengeBody(Body):
    """POST /v1/clients/challenges."""


class TicketBody(Body):
    """POST /v1/events/tickets."""


class LinkBody(Body):
    """POST /v1/status-page/links."""


class LinkAnswer(Answer):
    """The address that opens the status page once, and until when."""

    url: str
    expires_at: datetime


class StatusPageBody(Body):
    """POST /v1/status-page/sessions: what stands behind the ``#`` of a link."""

    link: Annotated[str, Meta(min_length=1, max_length=128)]


class StatusPageAnswer(Answer):
    """The pass of one tab with the status page: its ``Authorization: Bearer``."""

    token: str
    expires_at: datetime


class AllowBody(Body):
    """POST /v1/origins: let a web origin in, with the person's consent."""

    origin: Annotated[str, Meta(min_length=1, max_length=267)]
    rights: Annotated[list[Right], Meta(min_length=1, max_length=5)] | None = None


class LockBody(Body):
    """POST /v1/clients/{id}/lock."""


class ClientAnswer(Answer):
    """A client that was just paired; ``client_secret`` is shown this once."""

    client_id: str
    client_secret: str


class ChallengeAnswer(Answer):
    """A challenge for one proof of a page of this origin."""

    challenge: str
    expires_at: datetime


class OriginAnswer(Answer):
    """A page that was let in. ``token`` is its pass until ``expires_at``; ``until`` is when the consent ends."""

    origin: str
    rights: list[Right]
    token: str
    expires_at: datetime
    until: datetime | UnsetType = UNSET


class TicketAnswer(Answer):
    """What opens one stream of events, once, as ``GET /v1/events?ticket=…``."""

    ticket: str
    expires_at: datetime


class KeyListed(Answer):
    """One key of an origin: a browser profile that the person let in."""

    id: str
    rights: list[Right]
    since: datetime
    until: datetime
    used: date


class OriginListed(Answer):
    """One web origin: listed by the configuration, let in by the person (its keys), or refused."""

    origin: str
    listed: bool
    active: bool
    refused: bool
    rights: list[Right]
    keys: list[KeyListed]


class OriginsAnswer(Answer):
    """GET /v1/origins."""

    origins: list[OriginListed]


class ProgramListed(Answer):
    """One program that the person let use the card through PKCS#11, by the path of its file."""

    path: str
    rights: list[ProgramRight]
    since: datetime
    until: datetime
    used: date


class ProgramsAnswer(Answer):
    """GET /v1/programs."""

    programs: list[ProgramListed]


class PairingAnswer(Answer):
    """A pairing that waits for the user; the program shows ``code``, and asks again by ``id``."""

    id: str
    code: str
    expires_at: datetime
    state: Literal["pending"]


class ClientListed(Answer):
    """One paired program or remembered origin, in GET /v1/clients."""

    id: str
    kind: Literal["program", "origin"]
    name: str
    since: str
    vendor: str | UnsetType = UNSET
    software_id: str | UnsetType = UNSET
    locked: bool = False


class ClientsAnswer(Answer):
    """GET /v1/clients."""

    clients: list[ClientListed]
