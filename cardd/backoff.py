"""Pauses between two attempts to reach somebody who is not there: each twice as long as the one before."""

from __future__ import annotations


class BackOff:
    """Pauses from the ``first`` to the ``longest``, in seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def pause(self) -> float:
        """Return the next pause; the one after it is twice as long, up to the longest."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with the first pause again: an attempt went well."""
        self._next = self._first
