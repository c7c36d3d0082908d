"""The place in an in-process reader where a card sits, shared by the reader's thread and by whoever moves the card."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cardd.errors import CardMute, CardRemoved
from cardd_simulators.cards.powered import PoweredCard

INSTRUCTION = 1  # place of INS in an APDU


class Slot:
    """One slot. ``insertions`` and ``foreign_resets`` only grow: a connection compares them with what it saw."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.insertions = 0
        self.foreign_resets = 0
        self._card: PoweredCard | None = None
        self._in_use = False
        self._reset_waits = False
        self._traps: dict[int, Callable[[], None]] = {}
        self._lock = threading.RLock()

    @property
    def card(self) -> PoweredCard | None:
        """The card that is in."""
        return self._card

    @card.setter
    def card(self, card: PoweredCard | None) -> None:
        with self._lock:
            self._card = card
            self.insertions += 1
            if card:
                card.power_on()

    def take(self) -> PoweredCard | None:
        """Pull the card out, if there is one."""
        with self._lock:
            card, self._card = self._card, None
            return card

    def begin(self) -> tuple[PoweredCard, int]:
        """A transaction begins: whatever other programs want, waits. Gives the card and which insertion it is.

        Raises CardRemoved.
        """
        with self._lock:
            card = self._present()
            self._in_use = True
            return card, self.insertions

    def end(self, *, reset: bool) -> None:
        """The transaction ends; a reset that another program waits for follows."""
        with self._lock:
            self._in_use = False
            if reset and self._card:
                self._card.reset()
            if self._reset_waits:
                self.reset_from_outside()

    def reset_from_outside(self) -> None:
        """Another program's reset: now, or at the end of the transaction."""
        with self._lock:
            self._reset_waits = self._in_use
            if not self._in_use and self._card:
                self._card.reset()
                self.foreign_resets += 1

    def power_off(self) -> None:
        """The reader goes away."""
        with self._lock:
            if self._card:
                self._card.power_off()

    def on_instruction(self, instruction: int, what: Callable[[], None]) -> None:
        """Do something in the middle of the next command with this INS."""
        self._traps[instruction] = what

    def exchange(self, apdu: bytes, insertion: int) -> bytes:
        """One APDU to the card of this insertion. Raises CardRemoved when it has left, or leaves before it answers."""
        card = self._present()
        if trap := self._traps.pop(apdu[INSTRUCTION], None):
            trap()
        answer = card.process(apdu)
        if self._card is None or self.insertions != insertion:
            raise CardRemoved(reader=self.name)
        if not answer:
            raise CardMute
        return answer

    def _present(self) -> PoweredCard:
        if self._card is None:
            raise CardRemoved(reader=self.name)
        return self._card
