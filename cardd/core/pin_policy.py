"""Which new PINs are too easy to guess."""

from __future__ import annotations

from itertools import pairwise

from cardd.secret import Secret


def weakness(new: Secret, old: Secret | None) -> str | None:
    """Why this PIN must not be chosen: ``same``, ``repeated`` (0000, 1212) or ``sequence`` (1234, 9876); else None.

    Codes are compared in their pages; nothing is copied out of them but one digit at a time.
    """
    if old is not None and equal(new, old):
        return "same"
    with new.view() as digits:
        size = len(digits)
        for period in range(1, size // 2 + 1):
            if all(digits[place] == digits[place - period] for place in range(period, size)):
                return "repeated"
        steps = {after - before for before, after in pairwise(digits)}
    return "sequence" if steps in ({1}, {-1}) else None


def equal(one: Secret, other: Secret) -> bool:
    """Whether two codes are the same."""
    with one.view() as first, other.view() as second:
        return first == second
