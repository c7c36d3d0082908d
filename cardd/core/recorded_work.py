"""What a card's thread signs and records: the result counts once its rows are on disk, and not before (rule 8).

The time limit of a card does not cover the disk. Where the card has signed and the disk dawdles, the caller waits a
little longer, and is then told just that: the signature is not lost, and its row is no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from cardd.errors import AuditSlow, CardTimeout
from cardd.model import AuditEntry, Receipt
from cardd.ports import AuditLog
from cardd.worker import post

T = TypeVar("T")


class Recordings:
    """What the cards' threads record. ``patience`` is how many seconds a disk is waited for beyond the card's own time.

    While a thread waits for the disk, its reader serves nobody: whoever passes their time there is told of the disk.
    """

    def __init__(self, audit: AuditLog, patience: float) -> None:
        self.audit = audit
        self.patience = patience
        self.writing: set[object] = set()

    def begin(self) -> RecordedWork[T]:
        """Return one piece of work, not begun; on the loop."""
        return RecordedWork(self)


class RecordedWork(Generic[T]):
    """One piece of such work; made on the loop, done on the card's thread."""

    def __init__(self, all_of_them: Recordings) -> None:
        self._all = all_of_them
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[T] = self._loop.create_future()
        self._result.add_done_callback(lambda done: done.cancelled() or done.exception())  # most often nobody waits
        self._has_signed = False

    def record(self, value: T, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> T:
        """Record that the card made ``value``, and return it; on the card's thread. Raises AuditUnavailable."""
        self._has_signed = True
        self._all.writing.add(self)
        try:
            self._all.audit.write(entries, receipt)
        except BaseException as error:
            self._settle(partial(self._result.set_exception, error))
            raise
        finally:
            self._all.writing.discard(self)
        self._settle(partial(self._result.set_result, value))
        return value

    async def result(self, running: Awaitable[T]) -> T:
        """Return what ``running``, which does the work, returns. Raises what it raises, AuditSlow for CardTimeout."""
        try:
            return await running
        except CardTimeout:
            if not self._has_signed and not self._all.writing:
                raise
        seconds = self._all.patience if self._has_signed else 0.0
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._result)
        except TimeoutError:
            raise AuditSlow(seconds=round(self._all.patience)) from None

    def _settle(self, settle: Callable[[], None]) -> None:
        post(self._loop, lambda: None if self._result.done() else settle())
