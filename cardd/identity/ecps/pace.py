"""How often a program may have somebody's mobile woken: whoever is asked again and again agrees in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cardd.errors import PushTooSoon
from cardd.model import Caller
from cardd.ports import Clock

PUSH_PAUSE = 10.0  # seconds between two pushes of one program for one person, until one was agreed to

_Key = tuple[str, int, str]


class PushPace:
    """Knows when each program last woke each person's mobile; nothing of it outlives the pause."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pushed: dict[_Key, float] = {}

    @contextmanager
    def push(self, caller: Caller, national_id: str) -> Iterator[None]:
        """Around one push; one that fails does not count. Raises PushTooSoon."""
        now, key = self._clock.monotonic(), _key(caller, national_id)
        self._pushed = {known: when for known, when in self._pushed.items() if now < when + PUSH_PAUSE}
        if key in self._pushed:
            raise PushTooSoon(retry_after=max(1, round(self._pushed[key] + PUSH_PAUSE - now)))
        self._pushed[key] = now
        try:
            yield
        except BaseException:
            self._pushed.pop(key, None)
            raise

    def agreed(self, caller: Caller, national_id: str) -> None:
        """The person agreed: the next push is a new matter."""
        self._pushed.pop(_key(caller, national_id), None)


def _key(caller: Caller, national_id: str) -> _Key:
    return caller.id, caller.peer.uid, national_id
