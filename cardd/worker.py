"""Work beside what the event loop runs now: tasks that nobody awaits, and one thread that does blocking jobs in order.

The thread is our own and not an executor's: it never keeps the interpreter from exiting, a job that hangs is noticed
and told, and a hop costs no more than a queue and the loop's own wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from cardd.errors import CarddError, DaemonExhausted

T = TypeVar("T")

log = logging.getLogger(__name__)


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Have the loop call ``callback``, from any thread; nothing happens when the loop has been closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


async def until_one_ends(*works: Coroutine[object, object, None]) -> None:
    """Run all until one of them ends, and give the others up. Raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Background:
    """Tasks that are held while they run: the event loop alone would let them be collected. A failure is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin; the task may be cancelled."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def settle(self, timeout: float | None = None) -> None:
        """Return when all that was begun has ended, or after so many seconds; no failure is told."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout)

    async def cancel(self) -> None:
        """Cancel all that was begun, and return when it has ended."""
        for task in self._tasks:
            task.cancel()
        await self.settle()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work in the background failed", exc_info=error)


class Worker:
    """A daemon thread, started at the first job. ``late`` makes the error for a job that passes its ``timeout``.

    A job that has begun is never interrupted: when its time is over, its caller is told and the thread stays
    occupied; until the job ends, every other caller is told the same.
    """

    def __init__(self, name: str, late: Callable[[float], CarddError]) -> None:
        self._name = name
        self._late = late
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hanging: _Progress | None = None

    @property
    def is_occupied(self) -> bool:
        """Whether a job has passed its time and still runs."""
        return self._hanging is not None and not self._hanging.ended

    async def run(self, work: Callable[[], T], *, timeout: float) -> T:
        """Run ``work`` on the thread. ``timeout`` (seconds) counts from the moment at which it begins.

        A caller that is cancelled leaves at once; its job is skipped when it has not begun, and completed when it has.
        Raises what ``work`` and ``late`` do; DaemonExhausted where the computer gives no thread, for now.
        """
        if self.is_occupied:
            raise self._late(timeout)
        job = _Job(work, asyncio.get_running_loop())
        self._start()
        self._queue.put(job.execute)
        self._watch(job, timeout, timeout)
        return await job.future

    async def close(self, last: Callable[[], None], *, timeout: float) -> None:
        """Run ``last`` after the jobs that wait, and end the thread; a thread that hangs is left behind."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        self._queue.put(last)
        self._queue.put(lambda: post(loop, ended.set))
        self._queue.put(None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), timeout)

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise DaemonExhausted(why="memory") from error
            self._thread = thread

    def _work(self) -> None:
        while (step := self._queue.get()) is not None:
            step()

    def _watch(self, job: _Job[T], timeout: float, delay: float) -> None:
        job.timer = job.loop.call_later(delay, self._expire, job, timeout)

    def _expire(self, job: _Job[T], timeout: float) -> None:
        progress = job.progress
        if progress.ended:  # pragma: no cover - in this moment
            return
        if progress.started is None and not self.is_occupied:
            self._watch(job, timeout, timeout)  # it waits behind a job whose own timer runs
            return
        if progress.started is not None:
            left = progress.started + timeout - time.monotonic()
            if left > 0:
                self._watch(job, timeout, left)
                return
            self._hanging = progress
        if not job.future.done():
            job.future.set_exception(self._late(timeout))


class _Progress:
    """How far a job is: written by the thread, read by the loop."""

    __slots__ = ("ended", "started")

    def __init__(self) -> None:
        self.started: float | None = None
        self.ended = False


class _Job(Generic[T]):
    """One piece of work on its way through the thread, where it is done in the context of whoever asked for it."""

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.progress = _Progress()
        self.timer: asyncio.TimerHandle  # set with the job's place in the queue
        self._work = work
        self._context = copy_context()

    def execute(self) -> None:
        """Do the work, on the thread; nothing is done for a caller who has gone."""
        progress = self.progress
        if self.future.done():
            progress.ended = True
            return
        progress.started = time.monotonic()
        try:
            outcome = partial(self.future.set_result, self._context.run(self._work))
        except BaseException as error:  # noqa: BLE001 - whatever the job raises is its caller's
            outcome = partial(self.future.set_exception, error)
        progress.ended = True
        post(self.loop, partial(self._settle, outcome))

    def _settle(self, outcome: Callable[[], None]) -> None:
        self.timer.cancel()
        if not self.future.done():
            outcome()
