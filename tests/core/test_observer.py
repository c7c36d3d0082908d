"""What is counted of requests, dialogs, signatures and logins, and which request has a line in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from cardd.core.observer import REFUSED_MAX, Observer
from cardd.core.session import Pending, Session
from cardd.core.trace import Trace
from cardd.model import AuditEntry, Outcome
from cardd.request import Request, Step, Where, working_on
from tests.core.alone import Alone


class Told(Trace):
    """A trace that keeps what it is told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.told: list[tuple[object, ...]] = []

    def stepped(self, request: Request, step: Step) -> None:
        self.told.append((request, step))

    def ended(self, request: Request, status: int, code: str | None) -> None:
        self.told.append((request, status, code))


class Spent(Request):
    """A request of which somebody was waited for, and that the daemon worked on for an eighth of a second."""

    person: float = 0.0
    card: float = 0.0
    network: float = 0.0

    def seconds(self) -> dict[Where, float]:
        waited = {Where.PERSON: self.person, Where.CARD: self.card, Where.NETWORK: self.network}
        return {**waited, Where.DAEMON: 0.125}


class Watched(Alone):
    """The observer, and the trace that it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.trace = Told(self.clock.monotonic)
        self.observer = Observer(self.trace, self.clock)
        self.counts = self.observer.counts

    def pending(self) -> Session:
        session = self.session("pending")
        session.pending = Pending(self.clock.now())
        return session


@pytest.fixture
async def there(caplog: pytest.LogCaptureFixture) -> Watched:
    caplog.set_level(logging.INFO, "cardd.core.observer")
    return Watched()


def dialog(topic: str = "sign", **about: str) -> Step:
    return Step("dialog", Where.PERSON, {"topic": topic, **about})


async def done() -> None:
    """Have done what comes once the answer is on its way."""
    await asyncio.sleep(0)


# --- what is counted


async def test_dialogs_are_counted_by_topic_and_outcome_and_every_step_is_traced(there: Watched) -> None:
    request = Request()
    steps = [dialog(), dialog(error="consent.timeout"), Step("connect", Where.NETWORK, {"topic": "sign"}), dialog()]
    for step in steps:
        there.observer.stepped(request, step)
    assert there.counts.dialogs == {("sign", "answered"): 2, ("sign", "consent.timeout"): 1}
    assert there.trace.told == [(request, step) for step in steps]


async def test_seconds_are_counted_by_who_was_waited_for(there: Watched) -> None:
    assert there.counts.seconds == dict.fromkeys(Where, 0.0)
    for where in (*Where, Where.CARD):
        there.observer.spent(where, 2.0)
    assert there.counts.seconds == {Where.PERSON: 2.0, Where.CARD: 4.0, Where.NETWORK: 2.0, Where.DAEMON: 0.0}
    request = Spent()
    for _ in range(2):
        there.observer.ended(request, 200)
    there.observer.ended(Spent(lasts=True), 200)
    assert there.counts.seconds[Where.DAEMON] == 0.25
    assert there.trace.told == [(request, 200, None)] * 2  # a stream's seconds mean nothing


async def test_requests_are_counted_by_their_class_and_failures_by_their_code(there: Watched) -> None:
    answers = [(200, None), (202, None), (409, "card.busy"), (404, "card.busy"), (503, None)]
    for status, code in answers:
        there.observer.ended(Request(), status, code)
    assert [told[1:] for told in there.trace.told] == answers
    assert there.counts.requests == {"2xx": 2, "4xx": 2, "5xx": 1}
    assert there.counts.failures == {"card.busy": 2}


async def test_rows_of_signatures_are_counted_by_format_and_outcome(there: Watched) -> None:
    for action, outcome in (
        *[("signature.raw", Outcome.DONE)] * 2,
        ("signature.pades", Outcome.REFUSED),
        ("session.open", Outcome.DONE),
    ):
        there.observer.recorded(AuditEntry(action, outcome, 1000, "lps"))
    assert there.counts.signatures == {("raw", "done"): 2, ("pades", "refused"): 1}


async def test_logins_are_counted_by_method_and_outcome(there: Watched) -> None:
    there.observer.logged_in("ecps", "failed")
    for _ in range(2):
        there.observer.logged_in("cpx", "refused")
    there.observer.session_opened(there.session())
    waits = there.pending()
    there.observer.session_closed(waits, "caller_left")
    assert there.counts.logins == {
        ("ecps", "failed"): 1,
        ("cpx", "refused"): 2,
        ("card", "done"): 1,
        ("card", "failed"): 1,
    }
    assert there.counts.sessions == {}


async def test_a_sessions_dialogs_are_those_of_its_login_and_those_that_came_later(there: Watched) -> None:
    session, other, third = there.session("one"), there.session("other"), there.session("third")
    without = there.session("without")
    with working_on(Request(dialogs=2)):
        there.observer.session_opened(session)
        there.observer.session_opened(other)
        there.observer.session_opened(third)
    there.observer.session_opened(without)
    of_one = Request(session="one")
    for request in (of_one, of_one, Request(), Request(session="unknown")):
        there.observer.stepped(request, dialog())
    there.observer.stepped(of_one, Step("connect", Where.NETWORK, {}))
    for ended in (session, other, third, without, session):
        there.observer.session_closed(ended, "logout")
    assert there.counts.sessions == {4: 1, 2: 2, 0: 1}
    assert list(there.observer.histogram()) == [
        *(("0", 1), ("1", 1), ("2", 3), ("3", 3), ("5", 4), ("10", 4), ("20", 4), ("+Inf", 4)),
    ]


# --- the line in the log


@pytest.mark.parametrize("where", ["person", "card", "network"])
async def test_a_request_that_anybody_was_waited_for_has_a_line(
    there: Watched, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    for seconds in (0.0009, 0.001):
        there.observer.ended(Spent(name="GET /v1/cards", **{where: seconds}), 200)  # type: ignore[arg-type]
    assert caplog.messages == []  # first the answer
    await done()
    [line] = caplog.messages
    assert line.startswith("GET /v1/cards: 200 (person ")
    assert f"{where} 0.001 s" in line
    assert line.count("0.000 s") == 2
    assert line.endswith("daemon 0.125 s)")


async def test_a_request_without_a_name_has_no_line(there: Watched, caplog: pytest.LogCaptureFixture) -> None:
    there.observer.ended(Spent(card=1.0), 200)
    there.observer.ended(Spent(), 404, "route.unknown")
    await done()
    assert caplog.messages == []


async def test_a_request_that_failed_has_a_line_with_its_code(there: Watched, caplog: pytest.LogCaptureFixture) -> None:
    there.observer.ended(Spent(name="GET /v1/cards"), 409, "card.busy")
    there.observer.ended(Spent(name="GET /v1/cards"), 200)
    await done()
    [line] = caplog.messages
    assert line.startswith("GET /v1/cards: 409 card.busy (person 0.000 s, card ")


async def test_a_users_failures_have_so_many_lines_a_minute_and_drive_out_nobody_elses(
    there: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(uid: int | None, times: int) -> int:
        """Return how many lines these failures had."""
        caplog.clear()
        for _ in range(times):
            there.observer.ended(Request(name="GET /v1/cards", uid=uid), 403, "reader.not_yours")
        await done()
        return sum("reader.not_yours" in line for line in caplog.messages)

    there.clock.seconds = 1199.0  # the last second of a minute
    assert await fails(1000, REFUSED_MAX) == REFUSED_MAX
    assert len(caplog.messages) == REFUSED_MAX
    assert await fails(1000, 1) == 0
    assert caplog.messages == ["user 1000: more requests fail than have lines; metrics count them"]
    assert await fails(1000, 2) == 0
    assert caplog.messages == []
    assert await fails(1001, 2) == 2
    assert await fails(None, 2) == 2
    there.clock.seconds = 1200.0
    assert await fails(1000, 1) == 1
    there.clock.seconds = 1259.0
    assert await fails(1000, REFUSED_MAX) == REFUSED_MAX - 1
    caplog.clear()
    there.observer.ended(Spent(name="GET /v1/cards", uid=1000, card=1.0), 403, "reader.not_yours")
    await done()
    assert len(caplog.messages) == 1  # who waited is told in any case


# --- until when its work is the request's


async def test_a_request_is_over_once_it_is_answered_and_its_line_written(there: Watched) -> None:
    quiet, told = Request(), Spent(name="GET /v1/cards", card=1.0)
    there.observer.ended(quiet, 200)
    there.observer.ended(told, 200)
    assert (quiet.is_over, told.is_over) == (True, False)
    await done()
    assert told.is_over


@pytest.mark.parametrize("event", ["session_opened", "session_closed"])
async def test_a_request_whose_login_waits_is_over_once_that_is_decided(there: Watched, event: str) -> None:
    request, session = Request(session="session"), there.session()
    there.observer.ended(request, 202)
    there.observer.ended(other := Request(session="other"), 202)
    there.observer.ended(without := Request(), 202)
    await done()
    assert not request.is_over
    getattr(there.observer, event)(*((session,) if event == "session_opened" else (session, "logout")))
    assert not request.is_over  # what hears of it is its work still
    await done()
    assert [one.is_over for one in (request, other, without)] == [True, False, False]
