"""What the machine alone costs, and how much it wavers: a sync of the disk, a bare loop, waking another thread.

A virtual machine's processors are slower by a half while its host has others work beside them, for seconds or minutes.
Rounds in which that is so are measured again.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.measure import Measure, Series, p50

STEPS = 20_000
LOOPS = 25
QUIET = 25  # percent
SLOWER = 1.15  # than the fastest of the run: others work beside us
AGAIN = 3  # rounds measured again, for each that is wanted
REST = 1.0  # seconds for others to pass
BLOCK = bytes(1024)


def _loop() -> float:
    began = time.perf_counter()
    for _ in range(STEPS):
        pass
    return 1000 * (time.perf_counter() - began)


class Floor:
    """Measured between the other measures, so that its spread is the whole run's."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "floor"
        self._sync, self._loop, self._wake = Series(), Series(), Series()

    def look(self, count: int = 40) -> None:
        """Measure one round of each."""
        self._sync.add(list(_syncs(self._file, count)))
        self._loop.add([_loop() for _ in range(count)])
        self._wake.add(list(_wakes(count)))

    def measures(self) -> Iterator[Measure]:
        """The figures, and how much of the bare loop is above its median: others had the processor meanwhile."""
        yield self._sync.measure("a sync of 1 KiB to the disk", "ms")
        yield self._wake.measure("waking another thread and being woken by it", "ms")
        yield self._loop.measure(f"a bare loop of {STEPS} steps", "ms")
        above = 100 * (self._loop.tail[0] / self._loop.p50 - 1)
        yield Measure(f"  its p95 above its median: above {QUIET} the machine is not quiet", above, "%")
        yield Measure("  rounds measured again, as it was slower than at its best", PACE.again, "")


def _syncs(path: Path, count: int) -> Iterator[float]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, bytes(count * len(BLOCK)), 0)  # the room is taken before, as the audit log takes it
        os.fsync(file)
        for number in range(count):
            began = time.perf_counter()
            os.pwrite(file, BLOCK, number * len(BLOCK))
            os.fdatasync(file)
            yield 1000 * (time.perf_counter() - began)
    finally:
        os.close(file)


class Pace:
    """How fast the machine is, beside the fastest that it was since this began. ``again`` counts rounds left out.

    ``loop`` returns what a bare loop takes; ``rest`` is how many seconds others are given to pass.
    """

    def __init__(self, loop: Callable[[], float] = _loop, rest: float = REST) -> None:
        self._loop, self._rest = loop, rest
        self._fastest = math.inf
        self.again = 0

    def is_slow(self) -> bool:
        """Return whether a bare loop takes longer now than it did at best."""
        now = p50([self._loop() for _ in range(LOOPS)])
        self._fastest = min(self._fastest, now)
        return now > SLOWER * self._fastest

    def rounds(self, count: int, *series: Series) -> Iterator[int]:
        """Yield the number of each round, whose body adds to each of the series; slow ones are measured again."""
        number, left = 0, AGAIN * count
        while number < count:
            was_slow = self.is_slow()
            yield number
            if (was_slow or self.is_slow()) and left:
                left -= 1
                self.again += 1
                for one in series:
                    one.rounds.pop()
                time.sleep(self._rest)
            else:
                number += 1


PACE = Pace()  # of this run


def _wakes(count: int) -> Iterator[float]:
    asked, answered = threading.Semaphore(0), threading.Semaphore(0)

    def answer() -> None:
        for _ in range(count):
            asked.acquire()
            answered.release()

    thread = threading.Thread(target=answer)
    thread.start()
    for _ in range(count):
        time.sleep(0.002)  # both are asleep, as a daemon is
        began = time.perf_counter()
        asked.release()
        answered.acquire()
        yield 1000 * (time.perf_counter() - began)
    thread.join()
