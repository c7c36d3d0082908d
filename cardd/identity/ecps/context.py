"""What all logins use: what a client asks for, how often a person may be woken, and the parts that they need."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines
from cardd.core.sessions import Sessions
from cardd.errors import PushTooSoon
from cardd.identity.ecps.connection import LoginLimits, ProviderConnection
from cardd.identity.ecps.provider import Flow, PscAttempt, Wanted
from cardd.identity.ecps.state import LoginHints, ResumableSessions
from cardd.model import Caller, CallerKey
from cardd.ports import AuditLog, Clock
from cardd.worker import Background


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


@dataclass(frozen=True, slots=True)
class _Push:
    """One push that was not agreed to, when it was sent (``Clock.monotonic``)."""

    caller: CallerKey
    uid: int
    national_id: str
    sent: float


class PushLimit:
    """Knows when each program last woke each person's mobile: whoever is asked again and again agrees in the end.

    A person is counted for each OS user, so that another user of the machine cannot use up what a login needs. Nothing
    of it outlives the window.
    """

    def __init__(self, clock: Clock, limits: LoginLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._pushes: list[_Push] = []  # the oldest first
        self._agreed: set[tuple[int, str]] = set()

    @contextmanager
    def push(self, caller: Caller, national_id: str) -> Iterator[None]:
        """Surround one push. One that fails does not count. Raises PushTooSoon."""
        push = _Push(caller.key, caller.peer.uid, national_id, self._clock.monotonic())
        self._check(push)
        self._pushes.append(push)
        try:
            yield
        except BaseException:
            self._pushes.remove(push)
            raise

    def agreed(self, caller: Caller, national_id: str) -> None:
        """Forget the pushes of a person who agreed: the next one is a new matter."""
        self._agreed.add((caller.peer.uid, national_id))
        self._pushes = [one for one in self._pushes if (one.caller, one.national_id) != (caller.key, national_id)]

    def has_agreed(self, caller: Caller, national_id: str) -> bool:
        """Return whether this person agreed to a login of this OS user since the daemon started."""
        return (caller.peer.uid, national_id) in self._agreed

    def _check(self, push: _Push) -> None:
        """Compare with those before, by this program for the person, by all of the user's programs, for all people."""
        limits, now = self._limits, push.sent
        self._pushes = [one for one in self._pushes if now < one.sent + limits.push_window]
        to_person = [one for one in self._pushes if (one.uid, one.national_id) == (push.uid, push.national_id)]
        by_program = [one for one in self._pushes if one.caller == push.caller]
        last = max((one.sent for one in to_person if one.caller == push.caller), default=None)
        if last is not None and now < last + limits.push_pause:
            raise PushTooSoon(reason="moment", retry_after=_seconds(last + limits.push_pause - now))
        for reason, found, most in (
            ("person", to_person, limits.pushes_to_person),
            ("program", by_program, limits.pushes_by_program),
        ):
            if len(found) >= most:
                until = found[-most].sent + limits.push_window
                raise PushTooSoon(reason=reason, retry_after=_seconds(until - now), times=len(found))


def _seconds(left: float) -> int:
    return max(1, math.ceil(left))


@dataclass(frozen=True, slots=True)
class LoginContext:
    """What all logins use."""

    sessions: Sessions
    dialogs: DialogLines
    consents: Consents
    audit: AuditLog
    clock: Clock
    connection: ProviderConnection
    resumable: ResumableSessions
    hints: LoginHints
    pushes: PushLimit
    background: Background
    limits: LoginLimits

    async def begin(self, caller: Caller, wanted: Wanted) -> PscAttempt:
        """Wake the mobile, or prepare the page. Raises PushTooSoon, and what ``PscProvider.begin`` raises."""
        provider = await self.connection.provider()
        if wanted.flow is not Flow.MOBILE:
            with self.connection.noting():
                return await provider.begin(wanted, caller.peer.uid)
        with self.pushes.push(caller, wanted.login_hint or ""), self.connection.noting():
            return await provider.begin(wanted, caller.peer.uid)
