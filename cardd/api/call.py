"""One request as the checkers and handlers see it, and the reply they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from msgspec import Struct

from cardd.api.services import ApiLimits, Services
from cardd.core.sessions import Session
from cardd.errors import ClientUnknown, SessionUnknown
from cardd.model import Caller, Peer

SUPPORT_CODE = "Cardd-Support-Code"


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a connection: who is at its other end, and which Host names it by. The same for all requests."""

    is_local: bool
    hosts: frozenset[str]
    peer: Peer


@dataclass(frozen=True, slots=True)
class Page:
    """The web page that a request comes from; ``caller`` is None while its origin is not allowed yet."""

    origin: str
    caller: Caller | None


@dataclass(slots=True)
class Call:
    """One request past the gate. The route's checker fills ``who`` and ``open_session``, or raises.

    ``headers`` are those that every answer to this request carries; ``on_hang_up`` takes what is to be done when the
    connection is lost, and gives what takes that back.
    """

    services: Services
    limits: ApiLimits
    http: web.BaseRequest
    line: Line
    page: Page | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    on_hang_up: Callable[[Callable[[], object]], Callable[[], None]]
    who: Caller | None = None
    open_session: Session | None = None

    @property
    def peer(self) -> Peer:
        """The process at the other end."""
        return self.line.peer

    @property
    def caller(self) -> Caller:
        """Who calls, on routes that ask. Raises ClientUnknown."""
        if self.who is None:
            raise ClientUnknown
        return self.who

    @property
    def session(self) -> Session:
        """The session of the call's token, on routes that ask for one. Raises SessionUnknown."""
        if self.open_session is None:
            raise SessionUnknown
        return self.open_session

    @property
    def bearer(self) -> str | None:
        """The credential of the Authorization header; None when there is none of this kind."""
        scheme, _, value = self.http.headers.get("Authorization", "").partition(" ")
        return value if scheme.lower() == "bearer" and value else None

    @property
    def support_code(self) -> str | None:
        """The one-time code of support; None when there is none."""
        return self.http.headers.get(SUPPORT_CODE) or None


@dataclass(slots=True)
class Reply:
    """An answer: a status, a body (a schema, JSON already written, or none), and headers beyond the common ones."""

    status: int = 200
    body: Struct | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
