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


class RecordedWork(Generic[T]):
    """One piece of such work; made on the loop, done on the card's thread.

    ``patience`` is how many seconds a disk is waited for, beyond the card's own time.
    """

    def __init__(self, audit: AuditLog, patience: float) -> None:
        self._audit = audit
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[T] = self._loop.create_future()
        self._result.add_done_callback(lambda done: done.cancelled() or done.exception())  # most often nobody waits
        self._has_signed = False

    def record(self, value: T, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> T:
        """Record that the card made ``value``, and return it; on the card's thread. Raises AuditUnavailable."""
        self._has_signed = True
        try:
            self._audit.write(entries, receipt)
        except BaseException as error:
            self._settle(partial(self._result.set_exception, error))
            raise
        self._settle(partial(self._result.set_result, value))
        return value

    async def result(self, running: Awaitable[T]) -> T:
        """Return what ``running``, which does the work, returns. Raises what it raises, AuditSlow for CardTimeout."""
        try:
            return await running
        except CardTimeout:
            if not self._has_signed:
                raise
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(self._result)
        except TimeoutError:
            raise AuditSlow(seconds=round(self._patience)) from None

    def _settle(self, settle: Callable[[], None]) -> None:
        post(self._loop, lambda: None if self._result.done() else settle())
