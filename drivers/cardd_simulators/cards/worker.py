"""The thread of one in-process reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cardd.errors import CardTimeout

T = TypeVar("T")


class Worker:
    """Runs blocking jobs one after the other, in the order they came."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._turn = asyncio.Lock()
        self._overdue: Callable[[], bool] | None = None

    async def run(self, work: Callable[[], T], *, timeout: float) -> T:
        """Run one job. Raises CardTimeout when it takes longer, and for every further job until it has ended."""
        async with self._turn:
            self._refuse_while_overdue(timeout)
            job = asyncio.get_running_loop().run_in_executor(self._executor, work)
            job.add_done_callback(_settle)
            await asyncio.wait((job,), timeout=timeout)
            if not job.done():
                self._overdue = job.done
                raise CardTimeout(seconds=round(timeout))
            return job.result()

    def close(self) -> None:
        """End the thread after what it is doing."""
        self._executor.shutdown(wait=False)

    def _refuse_while_overdue(self, timeout: float) -> None:
        if self._overdue and not self._overdue():
            raise CardTimeout(seconds=round(timeout))


def _settle(job: asyncio.Future[T]) -> None:
    """Look at the error of a job whose caller may have gone, so that asyncio does not call it unheard."""
    if not job.cancelled():
        job.exception()
