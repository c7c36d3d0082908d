"""An organisation's certificates are told of before they end, across restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from cardd.core.events import EventBus
from cardd.identity.expiry import ExpiryWatch
from tests.rig.memory import ManualClock, MemoryStore

SERIAL = "0A"


class Bench:
    """A daemon's watch, started anew each day."""

    def __init__(self) -> None:
        self.clock, self.store, self.events = ManualClock(), MemoryStore(), EventBus()
        self.watch = ExpiryWatch(self.store, self.clock, self.events)

    async def after(self, days: float) -> list[object]:
        """What is told when so many days have passed."""
        self.clock.seconds += timedelta(days=days).total_seconds()
        listener = self.events.subscribe(None)
        await self.watch.watch()
        listener.end()
        told: list[object] = []
        while event := await listener.next():
            told.append(event.data["days"])
        return told


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.watch.note({SERIAL: bench.clock.now() + timedelta(days=100)})
    yield bench
    await bench.watch.stop()


async def test_the_end_is_told_60_30_and_7_days_ahead_and_at_the_end_once_each(bench: Bench) -> None:
    told = [await bench.after(days) for days in (39, 2, 1, 28, 1, 22, 1, 5, 2)]
    assert told == [[], [59], [], [30], [], [7], [], [], [-1]]


async def test_the_end_is_known_after_a_restart(bench: Bench) -> None:
    await bench.watch.stop()
    bench.watch = ExpiryWatch(bench.store, bench.clock, bench.events)
    assert await bench.after(95) == [5]
    assert [(one.serial, one.days) for one in bench.watch.expiring()] == [(SERIAL, 5)]


async def test_a_renewed_certificate_takes_the_old_ones_place(bench: Bench) -> None:
    bench.watch.note({"0B": bench.clock.now() + timedelta(days=1000)})
    assert await bench.after(100) == []
    assert bench.watch.expiring() == ()
