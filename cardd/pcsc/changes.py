"""What changed between two looks at the readers: the monitor's memory, without any I/O.

Source: PC/SC part 5, and pcsc-lite's event states, whose high word counts insertions and removals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from cardd.pcsc.winscard import PNP_READER, ReaderState, State

# pcsc-lite 1.9 refuses to watch more names at once, the list's own included; it has no more reader slots either
WATCHED_MAX = 16

_KEPT = 0xFFFF0000 | State.UNKNOWN | State.UNAVAILABLE | State.EMPTY | State.PRESENT | State.MUTE
_COUNTER = 0xFFFF0000


class Kind(Enum):
    """What can happen to a reader."""

    ADDED = auto()
    REMOVED = auto()
    CARD_IN = auto()
    CARD_OUT = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to one reader; ``atr`` is empty for a mute card."""

    kind: Kind
    reader: str
    atr: bytes = b""


class Slots:
    """The readers and cards as they were last seen."""

    def __init__(self) -> None:
        self._states: dict[str, int] = {}
        self._list_state = 0

    def listed(self, names: Sequence[str]) -> list[Change]:
        """Take a new list of readers; those that are new are still without a card."""
        changes = []
        for gone in [name for name in self._states if name not in names]:
            changes += self._remove(gone)
        for name in names:
            if name not in self._states:
                self._states[name] = 0
                changes.append(Change(Kind.ADDED, name))
        return changes

    def query(self) -> list[tuple[str, int]]:
        """Names and states to wait on: the call returns when one of them is different."""
        watched = list(self._states.items())
        return watched if len(watched) == WATCHED_MAX else [*watched, (PNP_READER, self._list_state)]

    def seen(self, states: Sequence[ReaderState]) -> tuple[list[Change], bool]:
        """Take what a wait returned: the cards' changes, and whether the list of readers has to be read again."""
        changes: list[Change] = []
        stale = False
        for state in states:
            if state.name == PNP_READER:
                stale |= state.event & ~_COUNTER != 0
                self._list_state = state.event & _COUNTER
            elif state.name in self._states:
                stale |= state.event & State.UNKNOWN != 0
                changes += self._look(state)
        return changes, stale

    def clear(self) -> list[Change]:
        """Everything leaves: PC/SC is gone."""
        changes = [change for name in list(self._states) for change in self._remove(name)]
        self._list_state = 0
        return changes

    def _look(self, state: ReaderState) -> list[Change]:
        # a state of 0 would mean "tell at once" and make the wait spin while pcscd is still starting the reader
        before, now = self._states[state.name], (state.event & _KEPT) or State.EMPTY
        self._states[state.name] = now
        was_in, is_in = before & State.PRESENT, now & State.PRESENT
        if was_in and is_in and before == now:
            return []
        changes = [Change(Kind.CARD_OUT, state.name)] if was_in else []
        if is_in:
            changes.append(Change(Kind.CARD_IN, state.name, b"" if now & State.MUTE else state.atr))
        return changes

    def _remove(self, name: str) -> list[Change]:
        card = self._states.pop(name) & State.PRESENT
        return [Change(Kind.CARD_OUT, name)] * bool(card) + [Change(Kind.REMOVED, name)]
