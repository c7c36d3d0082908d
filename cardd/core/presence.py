"""Who waits for the answer of a piece of work, and what ends when nobody does any more.

A dialog ends when nobody waits for it any more: its caller has hung up or was shut out, or its session ended. Only the
question ends. What the card, the audit log or a server does for a caller that left goes on to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from cardd.errors import CallerLeft, CarddError
from cardd.request import Within


class Presence:
    """One caller that waits, or several that share an answer; it may be left, and joined again."""

    def __init__(self, waiting: int = 1) -> None:
        self._waiting = waiting
        self._why: CarddError | None = None
        self._is_by_caller = True
        self._told: list[Callable[[], object]] = []

    @property
    def is_left(self) -> bool:
        """Whether nobody waits."""
        return self._waiting <= 0

    @property
    def is_taken_back(self) -> bool:
        """Whether nobody waits because the callers wanted that."""
        return self.is_left and self._is_by_caller

    @property
    def why(self) -> CarddError:
        """Why nobody waits."""
        return self._why or CallerLeft()

    @contextmanager
    def joined(self, other: Presence) -> Iterator[None]:
        """Count one more who waits inside, as long as ``other`` is not left."""
        is_in = True
        self._waiting += 1

        def leave() -> None:
            nonlocal is_in
            if is_in:
                is_in = False
                self._why, self._is_by_caller = other._why, other._is_by_caller
                self.leave()

        take_back = other.on_left(leave)
        try:
            yield
        finally:
            take_back()
            leave()

    def leave(self) -> None:
        """Count one less; the last one ends what is asked for them."""
        self._waiting -= 1
        if self._waiting == 0:
            for callback in tuple(self._told):
                callback()

    def revoke(self, why: CarddError, *, is_by_caller: bool) -> None:
        """Let nobody have the answer: whoever asked may not any more."""
        if not self.is_left:
            self._why, self._is_by_caller, self._waiting = why, is_by_caller, 1
            self.leave()

    def on_left(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``callback`` called when nobody waits any more; return a function that takes that back."""
        self._told.append(callback)
        return lambda: self._told.remove(callback)


class PolledPresence(Presence):
    """A caller that comes back to ask how things stand: gone when it did not for ``patience`` seconds."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None
        self.heard()

    def heard(self) -> None:
        """Begin to wait anew."""
        self.end()
        self._timer = asyncio.get_running_loop().call_later(self._patience, self.leave)

    def end(self) -> None:
        """Wait no more: the work has ended."""
        if self._timer:
            self._timer.cancel()


_waiting: ContextVar[Presence | None] = ContextVar("waiting", default=None)


def waited_for_by(presence: Presence | None) -> Within[Presence | None]:
    """Say who waits for what is done inside, in the tasks too that begin there; None: it has a life of its own."""
    return Within(_waiting, presence)


def ensure_waited_for() -> None:
    """Raises CallerLeft, or why else the answer of what runs here is known to reach nobody."""
    presence = _waiting.get()
    if presence is not None and presence.is_left:
        raise presence.why


def has_caller_left() -> bool:
    """Return whether nobody waits because the callers wanted that."""
    presence = _waiting.get()
    return presence is not None and presence.is_taken_back


@asynccontextmanager
async def while_waited_for() -> AsyncIterator[None]:
    """End what is inside when nobody waits for it any more. Raises what ``ensure_waited_for`` raises, at once too."""
    presence, task = _waiting.get(), asyncio.current_task()
    if presence is None or task is None:
        yield
        return
    ensure_waited_for()
    already, is_ending = task.cancelling(), False

    def end() -> None:
        nonlocal is_ending
        is_ending = True
        task.cancel()

    take_back = presence.on_left(end)
    try:
        yield
    except asyncio.CancelledError:
        if is_ending and task.uncancel() <= already:
            raise presence.why from None
        raise
    finally:
        take_back()
