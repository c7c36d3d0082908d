"""Time, from the system."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The clock of this machine (``cardd.ports.Clock``)."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never jump; the time that the machine slept counts too, so that a session grows old in it."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
