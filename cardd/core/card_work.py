"""What is asked of a card: work, whole or in pieces between which others have the card, and the login that it needs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from cardd.driver import Card
from cardd.errors import PinRequired
from cardd.model import CallerKey
from cardd.secret import Secret

T = TypeVar("T")


def _always_wanted() -> None:
    """Raise nothing."""


@dataclass(frozen=True, slots=True)
class HolderVerification:
    """A PIN to present before the work, on behalf of one session; ``pin`` None has the reader's keypad ask.

    ``accepted`` says that this card has accepted this PIN before: a held one. Nobody is asked about it, so it is never
    sent on the last try, nor after the card refused one that it had accepted (rule 4).
    ``spend_last_try`` says that the user agreed to risk the last one. ``certificates`` are those that the session
    stands on: a card that does not have them is another one, and gets neither the PIN nor the work. ``caller`` is whose
    mistake a wrong PIN is, None for the daemon's own. ``ensure_wanted`` raises when the session has ended meanwhile.
    ``times`` is how often the person at the keypad expects to be asked.
    """

    session: str
    pin: Secret | None
    accepted: bool = False
    spend_last_try: bool = False
    certificates: frozenset[bytes] = frozenset()
    caller: CallerKey | None = None
    ensure_wanted: Callable[[], None] = _always_wanted
    times: int = 1


@dataclass(frozen=True, slots=True)
class InPieces(Generic[T]):
    """Work in pieces: at each ``yield`` the card may be given to others, and is given back, logged in, by ``send``."""

    begin: Callable[[Card], Generator[None, Card, T]]


Work = Callable[[Card], T] | InPieces[T]


class Progress(Generic[T]):
    """How far a piece of work is; on the reader's thread."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._rest: Generator[None, Card, T] | None = None
        self.result: T

    def go_on(self, card: Card, gives_way: Callable[[], bool]) -> bool:
        """Work until the end, or until it is time to give way; return whether that was the end."""
        if not isinstance(self._work, InPieces):
            self.result = self._work(card)
            return True
        try:
            if self._rest is None:
                self._rest = self._work.begin(card)
                next(self._rest)
            else:
                self._rest.send(card)
            while not gives_way():
                self._rest.send(card)
        except StopIteration as end:
            self.result = end.value
            return True
        return False


class PinForEach(PinRequired):
    """The card wants the PIN for each operation, and the person at the keypad was not told: nothing left the card."""


class HeldPinKept(PinRequired):
    """A held PIN was not sent: it would spend the last try, or the card has refused one like it. Nothing was done."""
