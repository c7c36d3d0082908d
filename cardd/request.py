"""One thing that is asked of cardd, wherever it is worked on: its name, and where its seconds go.

The name stands in the answer, in audit rows, in lines of the log and in the steps of a trace. A request is known by its
context: tasks that begin in it know it, and so do the threads of the readers (``worker.py``).
"""

from __future__ import annotations

import re
import time
from contextvars import ContextVar, Token
from enum import StrEnum
from threading import Lock
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from cardd.model import JsonValue
from cardd.secret import new_id
from cardd.values import Record, field

T = TypeVar("T")

# what a program may call its request: a UUID or hexadecimal digits, and no number alone: that of a card has 20 digits
NAME = re.compile(r"(?=.{16,64}\Z)(?=.*[a-f])[0-9a-f]+(?:-[0-9a-f]+)*", re.IGNORECASE)


class Where(StrEnum):
    """Whom a second was spent waiting for."""

    PERSON = "person"
    CARD = "card"
    NETWORK = "network"
    DAEMON = "daemon"


# who is waited for where several are at once: a person first, and what is inside of something before what it is in
FIRST = (Where.PERSON, Where.DAEMON, Where.CARD, Where.NETWORK)


class Step(Record):
    """A part of a request, ``seconds`` long; ``about`` tells of it what names nobody: topics, hosts, status codes."""

    kind: str
    where: Where
    about: dict[str, JsonValue]
    seconds: float = 0.0


class Watcher(Protocol):
    """Who hears of each step at its end, and of seconds as they are spent, on whichever thread that is."""

    def stepped(self, request: Request, step: Step) -> None:
        """Take note of a step."""
        ...

    def spent(self, where: Where, seconds: float) -> None:
        """Take note of seconds that somebody was waited for."""
        ...


class Request(Record, eq=False):
    """One request. ``name`` is its method and the route's path, without what is in it.

    ``uid`` is the OS user who asks, ``session`` the identifier of the one that it is about; ``lasts`` says that it is a
    stream, whose seconds mean nothing. Once it ``is_over``, timers and tasks that began in it are nobody's request.
    """

    watcher: Watcher | None = None
    id: str = field(default_factory=new_id)
    name: str = ""
    uid: int | None = None
    dialogs: int = 0
    session: str | None = None
    lasts: bool = False
    is_over: bool = False
    _began: float = field(default_factory=time.perf_counter)
    _spent: dict[Where, float] = field(default_factory=dict)  # of each, once anybody was waited for
    _under_way: dict[Where, int] = field(default_factory=dict)
    _since: float = 0.0
    _lock: Lock = field(default_factory=Lock)  # a card's thread and the loop may come at once

    def seconds(self) -> dict[Where, float]:
        """Return where its seconds went until now; what nothing else took is the daemon's."""
        if not self._since:  # nobody was waited for
            now = time.perf_counter()
            return {Where.PERSON: 0.0, Where.CARD: 0.0, Where.NETWORK: 0.0, Where.DAEMON: now - self._began}
        self.count(Where.DAEMON, 0)
        waited = {where: self._spent[where] for where in (Where.PERSON, Where.CARD, Where.NETWORK)}
        left = time.perf_counter() - self._began - sum(waited.values())
        return {**waited, Where.DAEMON: max(0.0, left)}

    def count(self, where: Where, more: int) -> None:
        """Count one step more or less that is under way; until now, the first of those that were had the seconds."""
        with self._lock:
            if not self._spent:
                self._spent, self._under_way = dict.fromkeys(FIRST, 0.0), dict.fromkeys(FIRST, 0)
            now = time.perf_counter()
            seconds, self._since = now - self._since, now
            for doing in FIRST:
                if self._under_way[doing]:
                    self._spent[doing] += seconds
                    break
            else:
                doing = None
            self._under_way[where] += more
        if doing is not None and self.watcher is not None:
            self.watcher.spent(doing, seconds)


_current: ContextVar[Request | None] = ContextVar("request", default=None)


def current() -> Request | None:
    """Return the request that is worked on here; None for what nobody asked for, or not any more."""
    request = _current.get()
    return None if request is None or request.is_over else request


def named_by(told: str) -> str:
    """Return what a program calls its request, where that may be written down; else a new name."""
    return told.lower() if told and NAME.fullmatch(told) else new_id()


class Within(Generic[T]):
    """A context variable's value for what is done inside, and for tasks that begin there."""

    __slots__ = ("_token", "_value", "_variable")
    _token: Token[T]

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        """Set it."""
        self._token = self._variable.set(self._value)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Have what was set before."""
        self._variable.reset(self._token)


def working_on(request: Request | None) -> Within[Request | None]:
    """Say what is done inside for which request."""
    return Within(_current, request)


class Measured:
    """A step while it is taken, and the request that it is a part of; None where nobody's is."""

    __slots__ = ("_began", "_request", "_step")

    def __init__(self, step: Step, request: Request | None) -> None:
        self._step, self._request = step, request
        self._began = 0.0

    def __enter__(self) -> Step:
        """Begin to measure."""
        if self._request is not None:
            self._began = time.perf_counter()
            self._request.count(self._step.where, 1)
        return self._step

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Tell the request's watcher of the step, and of what it failed by."""
        made, request = self._step, self._request
        if request is None:
            return
        if isinstance(error, Exception):
            why = getattr(error, "code", None) or getattr(error, "why", type(error).__name__)
            made.about.setdefault("error", str(why))
        request.count(made.where, -1)
        made.seconds = time.perf_counter() - self._began
        if request.watcher is not None:
            request.watcher.stepped(request, made)


def step(kind: str, where: Where, **about: JsonValue) -> Measured:
    """Measure what is done inside, and tell the request's watcher of it; ``about`` may grow meanwhile."""
    return Measured(Step(kind, where, about), current())
