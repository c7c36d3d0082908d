"""What the drivers keep of the cards that were here, so that one that is put in again is open after a few commands.

All of it is in memory only, of the last ``CARDS_MAX`` cards, and ends with the daemon. Nobody can ask for it: a driver
gets it for a card in its reader. Readers' threads use it at the same time.
"""

from __future__ import annotations

import threading

from cardd.driver import CardMemory

CARDS_MAX = 16  # more than share one reader; some 8 kB each

Name = tuple[str, bytes, str]  # driver, answer to reset, serial number


class KnownCards:
    """What is kept of each card, the card that was used last at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Name, object] = {}

    def of(self, driver: str, atr: bytes) -> CardMemory:
        """Return this driver's part: what it kept of cards with this answer to reset."""
        return _Part(self, driver, atr)

    def recall(self, name: Name) -> object | None:
        """Return what is kept of this card; None where nothing is."""
        with self._lock:
            if name not in self._kept:
                return None
            known = self._kept[name] = self._kept.pop(name)
            return known

    def keep(self, name: Name, known: object) -> None:
        """Keep this of the card; the one that was used longest ago makes room."""
        with self._lock:
            self._kept.pop(name, None)
            self._kept[name] = known
            if len(self._kept) > CARDS_MAX:
                del self._kept[next(iter(self._kept))]

    def forget(self, name: Name) -> None:
        """Keep nothing of the card."""
        with self._lock:
            self._kept.pop(name, None)

    def clear(self) -> None:
        """Keep nothing of any card."""
        with self._lock:
            self._kept.clear()


class _Part(CardMemory):
    def __init__(self, cards: KnownCards, driver: str, atr: bytes) -> None:
        self._cards, self._driver, self._atr = cards, driver, atr

    def recall(self, serial: str) -> object | None:
        return self._cards.recall((self._driver, self._atr, serial))

    def keep(self, serial: str, known: object) -> None:
        self._cards.keep((self._driver, self._atr, serial), known)

    def forget(self, serial: str) -> None:
        self._cards.forget((self._driver, self._atr, serial))
