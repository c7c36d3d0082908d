"""Whose call is answered next: so many seconds of one turn of the loop for all programs together, users in turns.

Whoever sends without end, over however many connections, keeps nobody else of the daemon waiting for more than that.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

BUDGET = 0.001  # seconds of one turn of the loop; a call takes a tenth of that


class Taker(Protocol):
    """What has calls to answer."""

    def take_one(self) -> bool:
        """Answer a call, or begin to; return whether there may be another one."""
        ...


class Turns:
    """The lines of those who have calls to answer, one for each OS user."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[Taker]] = {}  # by user, in the order of their turns
        self._spent = 0.0
        self._is_next_turn_due = False

    def join(self, taker: Taker, uid: int) -> None:
        """Put one at the end of its user's line; its turn may be at once."""
        self._lines.setdefault(uid, deque()).append(taker)
        self._run()

    def _run(self) -> None:
        began = time.monotonic()
        now, until = began, began + BUDGET - self._spent
        while self._lines and now < until:
            uid = next(iter(self._lines))
            line = self._lines.pop(uid)
            taker = line.popleft()
            if taker.take_one():
                line.append(taker)
            if line:
                self._lines[uid] = line
            now = time.monotonic()
        self._spent += now - began
        if not self._is_next_turn_due:
            self._is_next_turn_due = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_next_turn_due = False
        self._spent = 0.0
        if self._lines:
            self._run()
