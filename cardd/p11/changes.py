"""Slot events as one program has them: where a token came or went since it last asked, and waiting for the next.

What the slots hold is compared with what was told last, so that nothing is missed between two calls, whatever changed
it: a card, a reader, or whose the readers are. Whoever waits is woken by the core's events.
"""

from __future__ import annotations

from cardd.core.events import EventBus, Subscription
from cardd.model import Caller, CallerKey
from cardd.p11.cryptoki import Refused, Rv
from cardd.p11.tokens import Tokens

LISTENER = "p11"  # of the core's events


class SlotChanges:
    """The slot events of one program."""

    def __init__(self, program: Caller, tokens: Tokens, events: EventBus) -> None:
        self._program = program
        self._tokens = tokens
        self._events = events
        self._told: dict[int, str] = {}  # by slot: the card that was in it, of those that had one
        self._waiting: list[Subscription] = []

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

    async def wait(self) -> int:
        """Return the next such slot. Raises Refused when the program ends meanwhile."""
        slot = None
        while slot is None:
            waiting = self._events.subscribe(CallerKey(self._program.peer.uid, LISTENER))
            self._waiting.append(waiting)
            try:
                await waiting.next()  # which ends too where the readers have become another one's
                if waiting not in self._waiting:
                    raise Refused(Rv.CRYPTOKI_NOT_INITIALIZED)
            finally:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
                waiting.end()
            slot = self.next()
        return slot

    def renew(self) -> None:
        """Tell of each slot once more, and whoever waits at once: the sessions there end."""
        self._told = dict.fromkeys(self._tokens.slots(self._program), "")
        for each in tuple(self._waiting):
            each.end()

    def end(self) -> None:
        """Let nobody wait any more."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.end()

    def _held(self) -> dict[int, str]:
        cards = ((slot, self._tokens.card_in(slot, self._program)) for slot in self._tokens.slots(self._program))
        return {slot: card.id for slot, card in cards if card is not None}
