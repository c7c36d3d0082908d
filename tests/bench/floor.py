"""What the machine alone costs, and how much it wavers: a sync of the disk, a bare loop, waking another thread."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Measure, Series

STEPS = 20_000
QUIET = 25  # percent
BLOCK = bytes(1024)


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


def _loop() -> float:
    began = time.perf_counter()
    for _ in range(STEPS):
        pass
    return 1000 * (time.perf_counter() - began)


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
