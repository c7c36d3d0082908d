"""What can happen to a user's desktop, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Kind(StrEnum):
    """What happened to the desktop."""

    SUSPEND = "suspend"
    LOCK = "lock"
    UNLOCK = "unlock"


Notify = Callable[[Kind, int | None], None]
