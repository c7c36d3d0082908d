"""What is looked at while the load runs, and the rule by which it is called flat.

The first quarter of the time is left out: libraries, caches and the log's last lines fill. Of the rest, the median of
the first third is compared with the median of the last third. Each quantity may grow by a share of itself, or by a
little where it is small: what leaks grows by more the longer the soak runs.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tests.bench.process import pss

WARM = 0.25
FEW = 5  # answers, of which no p99 is taken where there are fewer


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that must stay flat: it may grow by this share, or by so much."""

    name: str
    unit: str
    share: float
    little: float

    def is_flat(self, before: float, after: float) -> bool:
        """Return whether it did."""
        return after - before <= max(self.little, self.share * before)


MEMORY = Quantity("memory (PSS)", "MB", 0.02, 1.5)
DESCRIPTORS = Quantity("file descriptors", "", 0.0, 4)
THREADS = Quantity("threads", "", 0.0, 1)
TAIL = Quantity("p99 of a signature", "ms", 0.5, 10)
QUANTITIES = (MEMORY, DESCRIPTORS, THREADS, TAIL)


class Answers:
    """How long each kind of request took, and what was answered that nobody expected; from any thread."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []
        self.counts: dict[str, int] = defaultdict(int)
        self._times: dict[str, list[float]] = defaultdict(list)
        self._lock = Lock()

    def took(self, kind: str, milliseconds: float) -> None:
        """Note one answer."""
        with self._lock:
            self.counts[kind] += 1
            self._times[kind].append(milliseconds)

    def wrong(self, what: str) -> None:
        """Note what should not be."""
        with self._lock:
            self.unexpected.append(what)

    def p99(self, kind: str) -> float | None:
        """Return the p99 of what came since the last call; None where that was little."""
        with self._lock:
            times = self._times.pop(kind, [])
        return statistics.quantiles(times, n=100, method="inclusive")[98] if len(times) >= FEW else None


class Samples:
    """Each quantity over time."""

    def __init__(self, pid: int, answers: Answers, kind: str) -> None:
        self._process = Path(f"/proc/{pid}")
        self._pid = pid
        self._answers = answers
        self._kind = kind
        self.of: dict[Quantity, list[tuple[float, float]]] = {quantity: [] for quantity in QUANTITIES}

    def take(self, at: float) -> None:
        """Look once; ``at`` is between 0 and 1."""
        self.of[MEMORY].append((at, pss(self._pid)))
        self.of[DESCRIPTORS].append((at, float(sum(1 for _ in (self._process / "fd").iterdir()))))
        self.of[THREADS].append((at, float(sum(1 for _ in (self._process / "task").iterdir()))))
        if (tail := self._answers.p99(self._kind)) is not None:
            self.of[TAIL].append((at, tail))

    def verdicts(self) -> Iterator[tuple[Quantity, float, float, bool]]:
        """Return each quantity's median before and after, and whether it stayed flat."""
        for quantity, taken in self.of.items():
            third = (1 - WARM) / 3
            before = _median(taken, WARM, WARM + third)
            after = _median(taken, 1 - third, 1)
            if before is not None and after is not None:
                yield quantity, before, after, quantity.is_flat(before, after)


def _median(taken: Sequence[tuple[float, float]], since: float, until: float) -> float | None:
    values = [value for at, value in taken if since <= at <= until]
    return statistics.median(values) if values else None
