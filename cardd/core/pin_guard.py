"""The guard that every presentation of a PIN or PUK passes: after wrong codes, the next one has to wait (rule 4).

Mistakes are counted for each caller on a card, for the card, and for the whole machine. Each mistake beyond the free
ones makes the next presentation wait, twice as long each time; others than the caller wait only when the card itself,
or the machine, has had too many. A lent reader is no part of this machine: its user has one like it of their own, since
whoever lends can show wrong codes without end, and would have everybody else wait.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from cardd.backoff import doubled
from cardd.errors import PinBackOff, PinBlocked, PinWrong, PukBlocked, PukWrong
from cardd.model import CallerKey
from cardd.ports import Clock
from cardd.values import Record

FREE_MISTAKES = 1  # of one caller on one card
CARD_FREE_MISTAKES = 3  # of all callers on one card
MACHINE_FREE_MISTAKES = 5
BACK_OFF_FIRST = 2.0
BACK_OFF_MAX = 60.0
FORGOTTEN_AFTER = 900.0


class _Mistakes(Record):
    count: int = 0
    last: float = 0.0


class PinGuard:
    """The machine's guard; the threads of all readers use it. A caller None is the daemon itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._mistakes: dict[tuple[str, CallerKey | None], _Mistakes] = {}
        self._lent: dict[int, PinGuard] = {}

    def of(self, user: int | None) -> PinGuard:
        """Return the guard of the readers that this OS user is lent, for the daemon's life; None: this machine's."""
        return self if user is None else self._lent.setdefault(user, PinGuard(self._clock))

    def check(self, card: str, caller: CallerKey | None) -> None:
        """Raises PinBackOff while this caller, this card or the whole machine has to wait."""
        with self._lock:
            now = self._clock.monotonic()
            self._mistakes = {key: one for key, one in self._mistakes.items() if now - one.last < FORGOTTEN_AFTER}
            on_card = [one for (name, _), one in self._mistakes.items() if name == card]
            own = self._mistakes.get((card, caller))
            until = max(
                _until([own] if own else [], FREE_MISTAKES),
                _until(on_card, CARD_FREE_MISTAKES),
                _until(self._mistakes.values(), MACHINE_FREE_MISTAKES),
            )
        if until > now:
            raise PinBackOff(retry_after=int(until - now) + 1)

    @contextmanager
    def presenting(self, card: str, caller: CallerKey | None, *, is_held: bool = False) -> Iterator[None]:
        """Around each presentation of a code to this card. Raises PinBackOff before anything reaches the card.

        A held PIN, which this card accepted before, does not wait and forgives nothing: a wrong one is sent once.
        """
        if not is_held:
            self.check(card, caller)
        try:
            yield
        except (PinWrong, PinBlocked, PukWrong, PukBlocked):
            self._wrong(card, caller)
            raise
        if not is_held:
            with self._lock:
                self._mistakes.pop((card, caller), None)

    def _wrong(self, card: str, caller: CallerKey | None) -> None:
        with self._lock:
            mistakes = self._mistakes.setdefault((card, caller), _Mistakes())
            mistakes.count += 1
            mistakes.last = self._clock.monotonic()


def _until(mistakes: Collection[_Mistakes], free: int) -> float:
    count = sum(one.count for one in mistakes)
    if count <= free:
        return 0.0
    return max(one.last for one in mistakes) + doubled(count - free - 1, BACK_OFF_FIRST, BACK_OFF_MAX)
