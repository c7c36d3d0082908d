"""The logins: who was asked, what they answered, and the tokens that came of it."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from cardd.values import Record, Value, field
from cardd_simulators.psc.people import Userinfo

INTERVAL = 2  # seconds between two polls
REQUEST_LIFE, CODE_LIFE = 120, 60  # seconds, as PSC had them in 2023
TOKEN_SIZE = 32  # bytes


class TokenRules(Value):
    """For how many seconds tokens are good, as PSC had them in 2023, and what makes one of a kind by its name."""

    access_life: float = 120
    refresh_life: float = 1800
    make: Callable[[Literal["access", "refresh"]], str] = lambda _: secrets.token_urlsafe(TOKEN_SIZE)


class State(StrEnum):
    """What became of a request to the mobile."""

    WAITING = "waiting"
    APPROVED = "approve"
    DENIED = "deny"
    IGNORED = "ignore"


class Refused(Exception):
    """An OAuth error, by its code (RFC 6749, OpenID CIBA)."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class Request(Record):
    """One request to the mobile; ``number`` is what people call it."""

    number: int
    person: Userinfo
    digits: str
    until: float
    state: State = State.WAITING
    polled: float = 0.0


class Code(Value):
    """An authorization code: for whom, back to where, with which proof (PKCE)."""

    person: Userinfo
    redirect: str
    challenge: str
    nonce: str | None
    until: float


class Session(Value):
    """Somebody who is logged in; ``sid`` is what the logout calls it."""

    person: Userinfo
    sid: str


class Logins(Record):
    """All that is under way. ``auto`` answers requests to the mobile by itself; ``on_asked`` is told of each."""

    people: dict[str, Userinfo]
    auto: State | None
    on_asked: Callable[[Request], None]
    rules: TokenRules = field(default_factory=TokenRules)
    _requests: dict[str, Request] = field(default_factory=dict)
    _codes: dict[str, Code] = field(default_factory=dict)
    _access: dict[str, tuple[Session, float]] = field(default_factory=dict)
    _refresh: dict[str, tuple[Session, float]] = field(default_factory=dict)
    _count: int = 0

    def ask(self, national_id: str, digits: str) -> tuple[str, Request]:
        """Wake the mobile: the request's identifier, and the request. Raises Refused for somebody unknown."""
        person = self.people.get(national_id)
        if person is None:
            raise Refused("unknown_user_id")
        self._count += 1
        request = Request(self._count, person, digits, time.monotonic() + REQUEST_LIFE, self.auto or State.WAITING)
        identifier = secrets.token_urlsafe(24)
        self._requests[identifier] = request
        self.on_asked(request)
        return identifier, request

    def waiting(self) -> list[Request]:
        """Return the requests that nobody answered yet, the oldest first."""
        now = time.monotonic()
        return [one for one in self._requests.values() if one.state is State.WAITING and one.until > now]

    def answer(self, number: int | None, state: State) -> Request:
        """Play the mobile, for this request or the newest. Raises Refused where there is none."""
        found = [one for one in self.waiting() if number in (None, one.number)]
        if not found:
            raise Refused("nothing_waits", 404)
        found[-1].state = state
        return found[-1]

    def redeem_request(self, identifier: str) -> Session:
        """Return the poll's answer. Raises Refused: authorization_pending, slow_down, access_denied, expired_token."""
        request = self._requests.get(identifier)
        if request is None:
            raise Refused("invalid_grant")
        now = time.monotonic()
        if now > request.until:
            raise Refused("expired_token")
        early, request.polled = now - request.polled < INTERVAL / 2, now
        if request.state is State.DENIED:
            raise Refused("access_denied")
        if request.state is not State.APPROVED:
            raise Refused("slow_down" if early else "authorization_pending")
        del self._requests[identifier]
        return self.open(request.person)

    def give_code(self, person: Userinfo, redirect: str, challenge: str, nonce: str | None) -> str:
        """Return a code for somebody who logged in on the page."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = Code(person, redirect, challenge, nonce, time.monotonic() + CODE_LIFE)
        return code

    def take_code(self, code: str) -> Code:
        """Return the code, once. Raises Refused."""
        found = self._codes.pop(code, None)
        if found is None or found.until < time.monotonic():
            raise Refused("invalid_grant")
        return found

    def open(self, person: Userinfo) -> Session:
        """Log somebody in."""
        return Session(person, secrets.token_urlsafe(12))

    def tokens(self, session: Session) -> tuple[str, str]:
        """Return an access token and a refresh token."""
        access, refresh = self.rules.make("access"), self.rules.make("refresh")
        now = time.monotonic()
        self._access[access] = session, now + self.rules.access_life
        self._refresh[refresh] = session, now + self.rules.refresh_life
        return access, refresh

    def refreshed(self, refresh: str) -> Session:
        """Return whose refresh token it is; it serves once. Raises Refused."""
        return _alive(self._refresh.pop(refresh, None), "invalid_grant", 400)

    def of(self, access: str) -> Session:
        """Return whose access token it is. Raises Refused."""
        return _alive(self._access.get(access), "invalid_token", 401)

    def log_out(self, sid: str) -> None:
        """End all tokens of a login."""
        for tokens in (self._access, self._refresh):
            for token in [token for token, (session, _) in tokens.items() if session.sid == sid]:
                del tokens[token]


def _alive(found: tuple[Session, float] | None, code: str, status: int) -> Session:
    if found is None or found[1] < time.monotonic():
        raise Refused(code, status)
    return found[0]


def is_same(shown: str, expected: str) -> bool:
    """Return whether a proof is the expected one, whatever letters it has, in a time that tells nothing."""
    return hmac.compare_digest(shown.encode(errors="surrogatepass"), expected.encode())
