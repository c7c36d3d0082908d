"""Pauses that grow, each twice as long as the one before; a throttle and a pace for what happens often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

DOUBLINGS_MAX = 64  # a count of mistakes has no end, a float has


class BackOff:
    """Pauses from the ``first`` to the ``longest``, in seconds: between attempts to reach somebody who is not there."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def pause(self) -> float:
        """Return the next pause; the one after it is twice as long, up to the longest."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with the first pause again: an attempt went well."""
        self._next = self._first


def doubled(times: int, first: float, longest: float) -> float:
    """Return ``first`` doubled so many times, but no more than ``longest``: for whoever counts mistakes."""
    return min(first * 2.0 ** min(times, DOUBLINGS_MAX), longest)


class Throttle:
    """Tells of what happens often once a minute, with how often it happened since."""

    def __init__(self, tell: Callable[[int], None], *, minute: float = 60.0) -> None:
        self._tell = tell
        self._minute = minute
        self._told = -math.inf
        self._count = 0

    def note(self) -> None:
        """Take note that it happened; tell at once where the last word is a minute old."""
        self._count += 1
        if time.monotonic() - self._told >= self._minute:
            self._told = time.monotonic()
            count, self._count = self._count, 0
            self._tell(count)


class Pace:
    """A pace: so many at once, and then one in each pause, in seconds: for what another program does without end."""

    def __init__(self, at_once: int, pause: float) -> None:
        self._ahead = (at_once - 1) * pause
        self._pause = pause
        self._next = -math.inf

    def pause(self) -> float:
        """Return how long to wait before the next one."""
        now = time.monotonic()
        self._next = max(self._next, now - self._ahead)
        wait = max(0.0, self._next - now)
        self._next += self._pause
        return wait
