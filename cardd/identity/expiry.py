"""Warns of the organisation's certificates before they end: renewing them takes weeks.

A certificate is known from the first login that opened it; what is kept is its serial number and its last day.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from cardd.core.events import EventBus
from cardd.core.lifecycle import Part
from cardd.core.state_file import StateFile
from cardd.model import Event, JsonValue
from cardd.ports import Clock, Store
from cardd.values import Value

STORE = "certificates"
WARNINGS = (60, 30, 7, 0)  # days before the end; 0 is the end
DAY = 86400.0


class Expiring(Value):
    """A certificate that ends within 60 days, or has ended (``days`` negative); ``serial`` in hex."""

    serial: str
    not_after: datetime
    days: int


class ExpiryWatch(Part):
    """Remembers the certificates, and publishes ``certificate.expiring`` 60, 30 and 7 days before and at their end."""

    def __init__(self, store: Store, clock: Clock, events: EventBus) -> None:
        self._file = StateFile(store, STORE, dict[str, datetime])
        self._clock = clock
        self._events = events
        self._timer: asyncio.TimerHandle | None = None
        self._told: set[tuple[str, int]] = set()

    async def watch(self) -> None:
        """Watch what is remembered. Raises StateUnavailable."""
        self._watch()

    async def stop(self) -> None:
        """Watch no more."""
        self._sleep()

    def note(self, certificates: dict[str, datetime]) -> None:
        """Remember the certificates now in use, by serial number; others are forgotten. Raises StateUnavailable."""
        if certificates != self._known():
            self._file.save(certificates)
        self._watch()

    def expiring(self) -> tuple[Expiring, ...]:
        """Return the certificates within 60 days of their end, the nearest first. Raises StateUnavailable."""
        now = self._clock.now()
        found = [
            Expiring(serial, not_after, (not_after - now).days)
            for serial, not_after in self._known().items()
            if (not_after - now).total_seconds() <= WARNINGS[0] * DAY
        ]
        return tuple(sorted(found, key=lambda one: one.not_after))

    def seconds_left(self) -> tuple[int, ...]:
        """Return how many seconds each certificate has left, the fewest first. Raises StateUnavailable."""
        now = self._clock.now()
        return tuple(sorted(int((not_after - now).total_seconds()) for not_after in self._known().values()))

    def _known(self) -> dict[str, datetime]:
        return self._file.load() or {}

    def _watch(self) -> None:
        """Publish the warning that is due for each, and wake once a day while one may become due."""
        self._sleep()
        near = self.expiring()
        for one in near:
            self._tell(one)
        if self._known():
            self._timer = asyncio.get_running_loop().call_later(DAY, self._watch)

    def _sleep(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tell(self, one: Expiring) -> None:
        left = (one.not_after - self._clock.now()).total_seconds()
        due = min(days for days in WARNINGS if left <= days * DAY)
        if (one.serial, due) not in self._told:
            self._told.add((one.serial, due))
            data: dict[str, JsonValue] = {"serial": one.serial, "days": one.days}
            self._events.publish(Event("certificate.expiring", data | {"not_after": one.not_after.isoformat()}))
