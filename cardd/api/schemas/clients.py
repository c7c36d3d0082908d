"""Pairing of programs, origins of pages, and the list of both."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from cardd.api.schemas import Answer, Body, Identifier, Name


class PairBody(Body):
    """POST /v1/clients from desktop software."""

    name: Name
    vendor: Name
    software_id: Identifier
    permissions: Annotated[list[Literal["psc_token", "sessions"]], Meta(max_length=4)] = field(default_factory=list)


class OriginBody(Body):
    """POST /v1/clients from a web page that wants to be allowed: its Origin names it, and it says nothing else."""


class LockBody(Body):
    """POST /v1/clients/{id}/lock."""


class ClientAnswer(Answer):
    """A client that was just paired; ``client_secret`` is shown this once."""

    client_id: str
    client_secret: str


class OriginAnswer(Answer):
    """A web origin that may call."""

    origin: str


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
