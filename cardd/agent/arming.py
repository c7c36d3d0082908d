"""The first moment of a dialog, in which it takes no answer.

A dialog takes the keyboard when it opens. A click, a space, an Enter, or digits and an Enter that a person meant for
another window then land in it: they would agree to something, cost a try of the PIN, send a password to the card, or
refuse what nobody has seen, and three refusals keep a program from asking. What is completed in that moment is
therefore not taken: the dialog is shown again and says why. Nothing was refused, and nothing was sent.

Every dialog with a question or a code passes here, whether a pinentry shows it, an agent or the terminal. A reader's
own keypad needs no such moment: its keys belong to no window, so that what is pressed there was meant for the card.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from cardd.values import Value

T = TypeVar("T")

ARMED_AFTER = 0.7  # seconds
# how often we look whether that is over, and what one look counts at most: while this process was stopped, or too busy
# to look, an answer may have waited that came at once
LOOK, LOOK_MAX = 0.1, 0.25
HASTE_MAX = 5  # answers that came too early, after which it is no: they come from a program, or from an elbow


class Arming(Value):
    """How long that moment is, in seconds. No setting changes it, and only tests wait less."""

    after: float = ARMED_AFTER

    async def answer(
        self, show: Callable[[bool], Awaitable[None]], ask: Callable[[], Awaitable[T]], *, refused: T
    ) -> T:
        """Return the answer that came once the dialog could be read; ``refused`` where each of several came too early.

        ``show`` prepares the dialog, and is told whether that is because of such an answer; ``ask`` opens it, and
        returns what was answered. What ``ask`` raises is taken at any time.
        """
        for number in range(HASTE_MAX):
            await show(number > 0)
            with _Moment(self.after) as moment:
                answer = await ask()
                if moment.is_over:
                    return answer
                await asyncio.sleep(moment.left)  # who is still typing, or holds a key, does not use all of them up
        return refused


class _Moment:
    """A moment is so many seconds in which somebody looks."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._loop = asyncio.get_running_loop()
        self._looked = self._loop.time()

    def __enter__(self) -> Self:
        self._look()
        return self

    def __exit__(self, *_: object) -> None:
        self._next.cancel()

    @property
    def is_over(self) -> bool:
        """Whether they have passed."""
        now = self._loop.time()
        self.left -= min(now - self._looked, LOOK_MAX)
        self._looked = now
        return self.left <= 0

    def _look(self) -> None:
        self._next = self._loop.call_later(LOOK, self._look)
        if self.is_over:
            self._next.cancel()
