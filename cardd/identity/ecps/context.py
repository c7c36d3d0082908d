"""What all logins use: what a client asks for, their limits, and the parts of the daemon that they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cardd.core.consents import Consents
from cardd.core.lifecycle import Background
from cardd.core.sessions import Sessions
from cardd.errors import PushTooSoon
from cardd.identity.ecps.provider import Flow, ProviderConnection, PscAttempt, Wanted
from cardd.identity.ecps.state import LoginHints, ResumableSessions
from cardd.model import Caller, CallerKey
from cardd.ports import AuditLog, Clock, Prompter

_Key = tuple[CallerKey, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for: the login, and what is to happen once it succeeded.

    ``situation`` is one's identifier, ``ask`` to have the user pick, None to leave it to a later call; ``remember``
    asks the user whether the national id may be kept, ``assertions`` for the consent to assertions in their name.
    """

    wanted: Wanted
    situation: str | None = None
    remember: bool = False
    assertions: bool = False


@dataclass(slots=True)
class Limits:
    """How many sessions one program may have, and how many seconds things take."""

    sessions: int = 64  # of one program: of all the people who work on one machine
    push_pause: float = 10.0  # between two pushes of one program for one person, until one was agreed to
    lease: float = 30.0  # without a question about the session, and without a stream of events, while it is pending
    picking: float = 120.0  # as long as a dialog stays open
    renewal_margin: float = 20.0  # before the access token ends
    good_for: float = 10.0  # that a token is still good for when it is handed out
    first_pause: float = 1.0  # between two attempts to go on with a login while the provider is away
    longest_pause: float = 30.0


class PushLimit:
    """Knows when each program last woke each person's mobile: whoever is asked again and again agrees in the end.

    Nothing of it outlives the pause.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pushed: dict[_Key, float] = {}

    @contextmanager
    def push(self, caller: Caller, national_id: str, pause: float) -> Iterator[None]:
        """Surround one push, which may come so many seconds after the one before. One that fails does not count.

        Raises PushTooSoon.
        """
        now, key = self._clock.monotonic(), _key(caller, national_id)
        self._pushed = {known: when for known, when in self._pushed.items() if now < when + pause}
        if key in self._pushed:
            raise PushTooSoon(retry_after=max(1, round(self._pushed[key] + pause - now)))
        self._pushed[key] = now
        try:
            yield
        except BaseException:
            self._pushed.pop(key, None)
            raise

    def agreed(self, caller: Caller, national_id: str) -> None:
        """Forget the pushes of a person who agreed: the next one is a new matter."""
        self._pushed.pop(_key(caller, national_id), None)


def _key(caller: Caller, national_id: str) -> _Key:
    return caller.key, national_id


@dataclass(frozen=True, slots=True)
class LoginContext:
    """What all logins use."""

    sessions: Sessions
    prompter: Prompter
    consents: Consents
    audit: AuditLog
    clock: Clock
    connection: ProviderConnection
    resumable: ResumableSessions
    hints: LoginHints
    pushes: PushLimit
    background: Background
    limits: Limits

    async def begin(self, caller: Caller, wanted: Wanted) -> PscAttempt:
        """Wake the mobile, or prepare the page. Raises PushTooSoon, and what ``PscProvider.begin`` raises."""
        provider = await self.connection.provider()
        if wanted.flow is not Flow.MOBILE:
            return await provider.begin(wanted, caller.peer.uid)
        with self.pushes.push(caller, wanted.login_hint or "", self.limits.push_pause):
            return await provider.begin(wanted, caller.peer.uid)
