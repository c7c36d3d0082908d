"""The dialogs of each person: one line of them, which no program fills, and none that wears the person down.

One dialog at a time for one person. Whoever waits to log in goes first, others as they came; a caller has one place in
the line, and its next question waits behind those of the others. Who was refused a few times in a few minutes asks
nothing more for a while. A dialog that only informs, beside a login that goes on elsewhere, makes room for all others
and comes back after them.

A dialog ends when nobody waits for its answer any more (``presence.py``).
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import count

from cardd.config import Config
from cardd.config import Prompt as PromptRules
from cardd.core.events import EventBus
from cardd.core.lifecycle import Part
from cardd.core.presence import has_caller_left, while_waited_for
from cardd.core.recording import ensure_recordable
from cardd.errors import (
    ConsentTimeout,
    PinCancelled,
    PinFormat,
    PinTimeout,
    PromptBusy,
    RefusedTooOften,
    SessionLocked,
)
from cardd.model import Caller, CallerKey, Choice, Event, PinQuestion, Question
from cardd.ports import AuditLog, Clock, Prompter
from cardd.request import Where, Within, current, step
from cardd.secret import Secret
from cardd.values import Record, field, replace

WAITING_MAX = 8  # questions of one caller
# what goes on though no row can be written, or was begun when one could
WITHOUT_ROW = {"certificates", "ecps", "ecps_active", "ecps_browser", "origin", "pair", "remember_hint"}
OF_LOGINS = {"card", "ecps", "ecps_active", "ecps_browser", "last_try", "login", "situation"}


_only_who_is_there: ContextVar[bool] = ContextVar("only_who_is_there", default=False)
_language: ContextVar[str | None] = ContextVar("language", default=None)


def asking_only_who_is_there() -> Within[bool]:
    """Have nothing asked behind a locked screen, for what is done inside, and for tasks that begin there."""
    return Within(_only_who_is_there, True)


def spoken_to_in(language: str | None) -> Within[str | None]:
    """Say in which language whoever asks speaks, for the dialogs of what is done inside, and of tasks that begin there.

    None: that of each person's desktop.
    """
    return Within(_language, language)


def _spoken(question: Question) -> Question:
    return question if question.language else replace(question, language=_language.get())


class _Place(Record, eq=False):
    """One question in the line, since when it stands there, and how many dialogs its caller knows to come before it.

    ``shown`` is there while its dialog is open and only informs: it ends that dialog when somebody else asks.
    """

    question: Question
    since: int
    turn: asyncio.Future[None]
    ahead: int | None = None
    shown: asyncio.Timeout | None = None

    @property
    def caller(self) -> CallerKey:
        return caller_of(self.question)

    @property
    def rank(self) -> int:
        """Which questions come first, whoever asks: what only informs while something else goes on is the last."""
        return 2 if self.question.own_time else self.question.topic not in OF_LOGINS


class _Line(Record):
    """The questions to one person: the one whose dialog is open, those that wait, and when each caller had a dialog."""

    open: _Place | None = None
    waiting: list[_Place] = field(default_factory=list)
    served: dict[CallerKey, int] = field(default_factory=dict)

    def in_order(self) -> list[_Place]:
        """Return those that wait in the order in which they will be shown, as far as is known now."""
        served, order = dict(self.served), []
        left = [place for place in self.waiting if not place.turn.done()]  # not those that are being given up
        now = max([*served.values(), *(place.since for place in left)], default=0)
        if self.open is not None:
            served[self.open.caller] = now = now + 1
        while left:
            first = min(left, key=lambda place: (place.rank, max(place.since, served.get(place.caller, 0))))
            left.remove(first)
            order.append(first)
            served[first.caller] = now = now + 1
        return order


class Refusals:
    """How often each caller was refused: whoever is asked again and again agrees in the end.

    A dialog that was left without an answer counts, and one that its caller took back. Nothing outlives the window.
    """

    def __init__(self, clock: Clock, rules: PromptRules) -> None:
        self._clock = clock
        self.rules = rules
        self._times: dict[CallerKey, list[float]] = {}

    def check(self, caller: CallerKey) -> None:
        """Raises RefusedTooOften."""
        now, window = self._clock.monotonic(), self.rules.refusal_window
        self._times = {
            key: kept for key, times in self._times.items() if (kept := [time for time in times if now < time + window])
        }
        times = self._times.get(caller, [])
        if len(times) >= self.rules.refusals:
            left = times[-self.rules.refusals] + window - now
            raise RefusedTooOften(times=len(times), retry_after=max(1, math.ceil(left)))

    def count(self, caller: CallerKey) -> None:
        """Count one more."""
        self._times.setdefault(caller, []).append(self._clock.monotonic())


class DialogLines(Part):
    """Asks the person through a ``Prompter``, one dialog at a time.

    Publishes ``prompt.waiting`` (``ahead``: how many dialogs come before), ``prompt.opened`` (``timeout``: how long the
    dialog may stay, seconds; ``keypad``: the PIN is typed on the reader) and ``prompt.closed`` to the question's caller
    only. The events name the topic; nothing of what is asked, and no answer: that is told by the request's own answer.
    Nobody is asked for what could not be recorded: ``ask_pin``, ``confirm`` and ``keypad`` raise AuditUnavailable then.
    """

    def __init__(self, prompter: Prompter, events: EventBus, clock: Clock, rules: PromptRules, audit: AuditLog) -> None:
        self._prompter = prompter
        self._clock = clock
        self._audit = audit
        self._events = events
        self._refusals = Refusals(clock, rules)
        self._lines: defaultdict[int, _Line] = defaultdict(_Line)
        self._tickets = count(1)
        self.away: frozenset[int] = frozenset()  # the users whose screens are locked

    def reconfigured(self, config: Config) -> None:
        """Count refusals by the new numbers."""
        self._refusals.rules = config.prompt

    def ensure_askable(self, caller: CallerKey) -> None:
        """Raises RefusedTooOften for a caller who may have nothing asked for a while."""
        self._refusals.check(caller)

    async def ask_pin(self, question: PinQuestion, into: Secret) -> None:
        """Read the PIN into ``into``.

        Raises PinCancelled, PinTimeout, PinFormat, RefusedTooOften, CallerLeft, PromptBusy, PromptUnavailable.
        """
        spoken = replace(question, question=_spoken(question.question))
        with step("dialog", Where.PERSON, topic=question.question.topic, asks="pin"):
            async with while_waited_for(), self._turn(spoken.question):
                await self._prompter.ask_pin(spoken, into)

    async def confirm(self, question: Question, is_taken_back: Callable[[], bool] = has_caller_left) -> Choice:
        """Return the answer. ``is_taken_back`` says whether it was the caller who ended a dialog that is cancelled.

        Raises ConsentTimeout, RefusedTooOften, CallerLeft, PromptBusy, PromptUnavailable.
        """
        choice: Choice | None = None
        until = self._clock.monotonic() + question.timeout
        while choice is None:
            with step("dialog", Where.PERSON, topic=question.topic) as told:
                async with while_waited_for(), self._turn(question, is_taken_back) as place:
                    choice = await self._answer(place)
                told.about["choice"] = choice
            question = replace(question, timeout=max(1.0, until - self._clock.monotonic()))
        if choice is Choice.NO:
            self._refusals.count(caller_of(question))
        return choice

    async def _answer(self, place: _Place) -> Choice | None:
        """Return the answer; None when a dialog that only informs has made room for another question."""
        question = _spoken(place.question)
        if not question.own_time:
            return await self._prompter.confirm(question)
        place.shown = until_others_ask = asyncio.timeout(None)
        try:
            async with until_others_ask:
                self._go_on(self._lines[question.uid])
                return await self._prompter.confirm(question)
        except TimeoutError:
            if not until_others_ask.expired():
                raise
            return None
        finally:
            place.shown = None

    @asynccontextmanager
    async def keypad(self, question: Question) -> AsyncIterator[None]:
        """Show the message while the reader's keypad asks, which goes on though its caller has left.

        Raises RefusedTooOften, CallerLeft, PromptBusy.
        """
        with step("dialog", Where.PERSON, topic=question.topic, asks="keypad"):
            async with self._shown_for_keypad(question):
                yield

    @asynccontextmanager
    async def _shown_for_keypad(self, question: Question) -> AsyncIterator[None]:
        async with self._turn(question, keypad=True):
            notice = asyncio.ensure_future(self._prompter.notify(_spoken(question)))
            try:
                yield
            finally:
                notice.cancel()
                await asyncio.gather(notice, return_exceptions=True)

    @asynccontextmanager
    async def _turn(
        self, question: Question, is_taken_back: Callable[[], bool] = has_caller_left, **more: bool
    ) -> AsyncIterator[_Place]:
        """Have the person to oneself; count it where that comes to nothing."""
        caller = caller_of(question)
        self._ensure_there(question.uid)
        self._refusals.check(caller)
        async with self._place(question) as place:
            self._ensure_there(question.uid)
            self._refusals.check(caller)  # what was asked before this may have been refused
            if question.topic not in WITHOUT_ROW:
                await ensure_recordable(self._audit)
            if request := current():
                request.dialogs += 1
            self._publish("prompt.opened", question, timeout=round(question.timeout), **more)
            try:
                yield place
            except (ConsentTimeout, PinCancelled, PinFormat, PinTimeout):
                self._refusals.count(caller)
                raise
            except asyncio.CancelledError:
                if is_taken_back():
                    self._refusals.count(caller)
                raise
            finally:
                self._publish("prompt.closed", question)

    def _ensure_there(self, uid: int) -> None:
        """Raises SessionLocked where the person's screen is locked, and whoever asks asks only who is there."""
        if _only_who_is_there.get() and uid in self.away:
            raise SessionLocked

    @asynccontextmanager
    async def _place(self, question: Question) -> AsyncIterator[_Place]:
        """Stand in the person's line until it is one's turn. Raises PromptBusy where one's own questions are many."""
        line, caller = self._lines[question.uid], caller_of(question)
        own = sum(place.caller == caller for place in line.waiting)
        if own >= WAITING_MAX:
            raise PromptBusy(waiting=own)
        place = _Place(question, next(self._tickets), asyncio.get_running_loop().create_future())
        line.waiting.append(place)
        try:
            self._go_on(line)
            async with while_waited_for():
                await place.turn
            yield place
        finally:
            if line.open is place:
                line.open = None
                line.served[caller] = next(self._tickets)
            else:
                line.waiting.remove(place)
            self._go_on(line)
            if line.open is None and not line.waiting:
                self._lines.pop(question.uid, None)

    def _go_on(self, line: _Line) -> None:
        """Give the turn to who comes next, and tell the others where they stand."""
        order = line.in_order()
        if line.open is None and order:
            line.open = order.pop(0)
            line.waiting.remove(line.open)
            line.open.turn.set_result(None)
        if line.open and line.open.shown and order and not order[0].question.own_time:
            _end(line.open.shown)
        for ahead, place in enumerate(order, 1):
            if place.ahead != ahead:
                place.ahead = ahead
                self._publish("prompt.waiting", place.question, ahead=ahead)

    def _publish(self, kind: str, question: Question, **more: int) -> None:
        if question.caller is not None:
            self._events.publish(Event(kind, {"topic": question.topic, **more}, to=question.caller))


def _end(dialog: asyncio.Timeout) -> None:
    if not dialog.expired():
        dialog.reschedule(asyncio.get_running_loop().time())


def question_of(caller: Caller, topic: str) -> Question:
    """Return a question on behalf of this caller that tells the person no more than the caller's name."""
    return Question(topic, caller.peer.uid, {"client": caller.name}, caller=caller.key)


def caller_of(question: Question) -> CallerKey:
    """Return whose question this is; those whom nobody knows are one caller for each OS user and kind of question."""
    return question.caller or CallerKey(question.uid, question.topic)
