"""The first moment of a dialog, in which it takes neither a yes nor a PIN.

A dialog takes the keyboard when it opens. A click, an Enter, or digits and an Enter that a person meant for another
window then land in it: they would agree to something, cost a try of the PIN, or send a password to the card. What is
completed in that moment is therefore not taken: the dialog is shown again and says why. Nothing was refused, and
nothing was sent. A no is always taken: it does nothing.

Every dialog with a yes or with a code passes here, whether a pinentry shows it, an agent or the terminal. A reader's
own keypad needs no such moment: its keys belong to no window, so that what is pressed there was meant for the card.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

ARMED_AFTER = 0.7  # seconds
HASTE_MAX = 5  # answers that came too early, after which it is no: they come from a program, or from an elbow


@dataclass(frozen=True, slots=True)
class Arming:
    """How long that moment is, in seconds. No setting changes it, and only tests wait less."""

    after: float = ARMED_AFTER

    async def answer(
        self, show: Callable[[bool], Awaitable[None]], ask: Callable[[], Awaitable[T]], *, refused: T
    ) -> T:
        """Return the answer that came once the dialog could be read; ``refused`` where each of several came too early.

        ``show`` prepares the dialog, and is told whether that is because of such an answer; ``ask`` opens it, and
        returns what was answered. The answer ``refused`` is taken at any time, and so is what ``ask`` raises.
        """
        loop = asyncio.get_running_loop()
        for number in range(HASTE_MAX):
            await show(number > 0)
            opened = loop.time()
            answer = await ask()
            if answer == refused or loop.time() - opened >= self.after:
                return answer
        return refused
