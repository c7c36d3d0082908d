"""What is counted of the daemon's work, and told of each request when it ends: for traces, metrics and the log.

Nothing here names anybody: routes, codes, topics of dialogs, numbers. Counting costs an addition.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

from cardd.core.lifecycle import Part
from cardd.core.session import Session
from cardd.core.trace import Trace
from cardd.model import AuditEntry, Plain
from cardd.ports import Clock
from cardd.request import Request, Step, Where, current

SIGNATURE = "signature."
DIALOGS = (0, 1, 2, 3, 5, 10, 20)  # the buckets of dialogs for each session
LINE = "%s: %d %s(person %.3f s, card %.3f s, network %.3f s, daemon %.3f s)"
WORTH_A_LINE = 0.001  # seconds that a request waited for a person, a card or a server
MINUTE = 60.0
ACCEPTED = 202
REFUSED_MAX = 60  # lines of a user in a minute about requests that failed at once

log = logging.getLogger(__name__)


class Counts:
    """What has been counted since the daemon started."""

    def __init__(self) -> None:
        self.seconds: dict[Where, float] = dict.fromkeys(Where, 0.0)
        self.requests: Counter[str] = Counter()  # by the class of the status
        self.failures: Counter[str] = Counter()  # by the error's code
        self.signatures: Counter[tuple[str, str]] = Counter()  # by format and outcome
        self.logins: Counter[tuple[str, str]] = Counter()  # by method and outcome
        self.dialogs: Counter[tuple[str, str]] = Counter()  # by topic and outcome
        self.sessions: Counter[int] = Counter()  # that ended, by how many dialogs each had


class Observer(Part):
    """Hears of every step, of every request's end, and of every row of the audit log."""

    def __init__(self, trace: Trace, clock: Clock) -> None:
        self.counts = Counts()
        self._trace = trace
        self._clock = clock
        self._dialogs: dict[str, int] = {}  # by the session that is open
        self._undecided: dict[str, Request] = {}  # answered, and a person has still to agree; by the session
        self._minute = 0
        self._refused: Counter[int | None] = Counter()  # lines of this minute, by user

    def stepped(self, request: Request, step: Step) -> None:
        """Count a step; from any thread."""
        if step.kind == "dialog":
            self.counts.dialogs[str(step.about["topic"]), str(step.about.get("error", "answered"))] += 1
            if request.session in self._dialogs:
                self._dialogs[request.session] += 1
        self._trace.stepped(request, step)

    def spent(self, where: Where, seconds: float) -> None:
        """Count seconds of waiting; from any thread."""
        if where is not Where.DAEMON:  # the daemon's seconds are what is left of the request
            self.counts.seconds[where] += seconds

    def ended(self, request: Request, status: int, code: str | None = None) -> None:
        """Count a request that was answered, and give it a line where anybody was waited for or something failed."""
        spent = request.seconds()
        self.counts.requests[f"{status // 100}xx"] += 1
        if code is not None:
            self.counts.failures[code] += 1
        if not request.lasts:
            self.counts.seconds[Where.DAEMON] += spent[Where.DAEMON]
            self._trace.ended(request, status, code)
        waited = spent[Where.PERSON] + spent[Where.CARD] + spent[Where.NETWORK]
        has_line = request.name and (waited >= WORTH_A_LINE or (code is not None and self._has_room(request.uid)))
        if has_line:
            about = Plain(request.name), status, Plain(f"{code} " if code else ""), *spent.values()
            asyncio.get_running_loop().call_soon(log.info, LINE, *about)  # once the answer is on its way
        if status == ACCEPTED:  # its work goes on: until the login is decided, or the work ends
            self._undecided.update({request.session: request} if request.session else {})
        elif has_line:
            asyncio.get_running_loop().call_soon(_end, request)  # after that line
        else:
            _end(request)

    def _has_room(self, uid: int | None) -> bool:
        """Return whether one more failure of this user has a line: nobody drives the others' lines out of the log."""
        minute = int(self._clock.monotonic() // MINUTE)
        if minute != self._minute:
            self._minute = minute
            self._refused.clear()
        self._refused[uid] += 1
        if self._refused[uid] == REFUSED_MAX + 1:
            log.warning("user %s: more requests fail than have lines; metrics count them", uid)
        return self._refused[uid] <= REFUSED_MAX

    def recorded(self, entry: AuditEntry) -> None:
        """Count what a row of the audit log tells."""
        if entry.action.startswith(SIGNATURE):
            self.counts.signatures[entry.action.removeprefix(SIGNATURE), entry.outcome.value] += 1

    def logged_in(self, method: str, outcome: str) -> None:
        """Count a login that was asked for."""
        self.counts.logins[method, outcome] += 1

    def session_opened(self, session: Session) -> None:
        """Count a login that succeeded, and the dialogs that it took."""
        self.logged_in(session.method, "done")
        request = current()
        self._dialogs[session.id] = request.dialogs if request else 0
        self._decided(session)

    def session_closed(self, session: Session, _reason: str) -> None:
        """Count the dialogs that a session had, from its login on; one that still waited is no login."""
        if session.pending is not None:
            self.logged_in(session.method, "failed")
        if session.id in self._dialogs:
            self.counts.sessions[self._dialogs.pop(session.id)] += 1
        self._decided(session)

    def _decided(self, session: Session) -> None:
        """End the request that asked for the session: what comes later is not its work."""
        if request := self._undecided.pop(session.id, None):
            asyncio.get_running_loop().call_soon(_end, request)

    def histogram(self) -> Iterator[tuple[str, int]]:
        """Return how many ended sessions had at most so many dialogs."""
        for bound in DIALOGS:
            yield str(bound), sum(times for dialogs, times in self.counts.sessions.items() if dialogs <= bound)
        yield "+Inf", self.counts.sessions.total()


def _end(request: Request) -> None:
    request.is_over = True
