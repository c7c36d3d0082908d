"""Slot events as one program has them: where a token came or went since it last asked, and waiting for the next.

What the slots hold is compared with what was told last, so that nothing is missed between two calls, whatever changed
it: a card, a reader, or whose the readers are. Whoever waits is woken by the core's events. All threads of a program
that wait do so by one listener and have the same answer: an event costs no more for a thousand calls than for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from cardd.core.events import EventBus, Subscription
from cardd.model import Caller, CallerKey
from cardd.p11.cryptoki import Refused, Rv
from cardd.p11.tokens import Tokens

LISTENER = "p11"  # of the core's events
WAITS_MAX = 4  # calls of one program at once; PKCS#11 promises it one


class SlotChanges:
    """The slot events of one program."""

    def __init__(self, program: Caller, tokens: Tokens, events: EventBus) -> None:
        self._program = program
        self._tokens = tokens
        self._events = events
        self._told: dict[int, str] = {}  # by slot: the card that was in it, of those that had one
        self._waiting: list[asyncio.Future[int]] = []
        self._listening: Subscription | None = None
        self._listener: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether any call waits."""
        return bool(self._waiting)

    def begin(self) -> None:
        """Tell changes from now on."""
        self._told = self._held()

    def next(self) -> int | None:
        """Return a slot whose token came or went, each change once; None when there is none."""
        held = self._held()
        for slot in sorted({*held, *self._told}):
            if held.get(slot) != self._told.get(slot):
                self._told.pop(slot, None)
                if slot in held:
                    self._told[slot] = held[slot]
                return slot
        return None

    def wait(self) -> Awaitable[int]:
        """Return the next such slot when it is there, the same one to all that wait.

        Raises Refused where too many wait; awaiting it raises Refused when the program ends.
        """
        if len(self._waiting) >= WAITS_MAX:
            raise Refused(Rv.HOST_MEMORY)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.ensure_future(self._listen())
        return answer

    def renew(self) -> None:
        """Tell of each slot once more, and whoever waits at once: the sessions there end."""
        self._told = dict.fromkeys(self._tokens.slots(self._program), "")
        self._answer(self.next() if self._waiting else None, Rv.NO_EVENT)  # the program may see no slot

    def end(self) -> None:
        """Let nobody wait any more."""
        self._answer(None, Rv.CRYPTOKI_NOT_INITIALIZED)

    async def _listen(self) -> None:
        """Answer all that wait, as long as any does."""
        while self._waiting:
            self._listening = self._events.subscribe(CallerKey(self._program.peer.uid, LISTENER))
            try:
                slot = self.next()
                if slot is None:
                    await self._listening.next()  # which ends too where the readers have become another one's
                else:
                    self._answer(slot)
            finally:
                self._listening.end()

    def _answer(self, slot: int | None, otherwise: Rv = Rv.NO_EVENT) -> None:
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            if answer.done():  # whoever waited was cancelled
                continue
            if slot is None:
                answer.set_exception(Refused(otherwise))
            else:
                answer.set_result(slot)
        if self._listening is not None:
            self._listening.end()

    def _held(self) -> dict[int, str]:
        cards = ((slot, self._tokens.card_in(slot, self._program)) for slot in self._tokens.slots(self._program))
        return {slot: card.id for slot, card in cards if card is not None}
