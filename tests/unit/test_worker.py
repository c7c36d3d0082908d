"""The worker thread: order, time limits, hanging jobs, callers who leave."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from cardd.errors import CardRemoved, CardTimeout, DaemonExhausted
from cardd.worker import Background, Worker
from tests.pcsc.conftest import when_free
from tests.rig.no_thread import no_thread
from tests.rig.other_program import ROOT
from tests.rig.waiting import eventually


def too_late(timeout: float) -> CardTimeout:
    return CardTimeout(seconds=round(timeout))


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker("worker of a test", too_late)
    yield worker
    await worker.close(lambda: None, timeout=5)


async def test_jobs_run_one_after_the_other_in_the_order_they_came(worker: Worker) -> None:
    order: list[int] = []

    def job(number: int) -> int:
        time.sleep(0.01 * (3 - number))
        order.append(number)
        return number

    assert await asyncio.gather(*(worker.run(partial(job, n), timeout=5) for n in range(3))) == [0, 1, 2]
    assert order == [0, 1, 2]


async def test_jobs_run_on_one_thread_that_is_not_the_loops(worker: Worker) -> None:
    threads = {await worker.run(threading.get_ident, timeout=5) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_what_a_job_raises_is_raised_to_its_caller(worker: Worker) -> None:
    def fail() -> None:
        raise CardRemoved

    with pytest.raises(CardRemoved):
        await worker.run(fail, timeout=5)
    assert await worker.run(lambda: 1, timeout=5) == 1


async def test_a_computer_that_gives_no_thread_is_told_and_asked_again_for_the_next_job(worker: Worker) -> None:
    with no_thread(), pytest.raises(DaemonExhausted):
        await worker.run(lambda: 1, timeout=5)
    assert await worker.run(lambda: 1, timeout=5) == 1


async def test_a_hanging_job_times_out_and_so_do_others_until_it_ends(worker: Worker) -> None:
    release = threading.Event()
    with pytest.raises(CardTimeout) as caught:
        await worker.run(lambda: release.wait(10), timeout=0.05)
    assert caught.value.params == {"seconds": 0}
    assert worker.is_occupied
    with pytest.raises(CardTimeout):
        await worker.run(lambda: None, timeout=3600)  # which is not waited for
    release.set()
    assert await when_free(lambda: worker.run(lambda: "well again", timeout=5)) == "well again"


async def test_a_job_that_waits_behind_a_hanging_one_times_out_and_never_runs(worker: Worker) -> None:
    release, ran = threading.Event(), threading.Event()
    hanging = asyncio.create_task(worker.run(lambda: release.wait(10), timeout=0.05))
    await asyncio.sleep(0)  # let it begin
    with pytest.raises(CardTimeout):
        await worker.run(ran.set, timeout=0.1)
    with pytest.raises(CardTimeout):
        await hanging
    release.set()
    await when_free(lambda: worker.run(lambda: None, timeout=5))
    assert not ran.is_set()


async def test_waiting_for_ones_turn_does_not_count_as_time(worker: Worker) -> None:
    def job() -> str:
        time.sleep(0.08)
        return "done"

    first = asyncio.create_task(worker.run(lambda: time.sleep(0.15), timeout=5))
    await asyncio.sleep(0)  # let it begin
    assert await worker.run(job, timeout=0.1) == "done"
    await first


async def test_a_job_that_hangs_occupies_the_thread_after_its_caller_has_left(worker: Worker) -> None:
    started, release = threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        release.wait(10)

    task = asyncio.create_task(worker.run(job, timeout=0.05))
    await asyncio.to_thread(started.wait, 5)
    task.cancel()
    await eventually(lambda: worker.is_occupied)
    release.set()


async def test_what_fails_in_the_background_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise CardRemoved

    background = Background()
    background.start(fail())
    await background.settle()
    await asyncio.sleep(0)
    assert "work in the background failed" in caplog.text


async def test_a_cancelled_caller_leaves_at_once_and_its_job_is_completed(worker: Worker) -> None:
    started, release, completed = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        release.wait(10)
        completed.set()

    task = asyncio.create_task(worker.run(job, timeout=5))
    await asyncio.to_thread(started.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not completed.is_set()
    release.set()
    await worker.run(lambda: None, timeout=5)
    assert completed.is_set()


async def test_a_cancelled_job_that_has_not_begun_is_skipped(worker: Worker) -> None:
    release, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(worker.run(lambda: release.wait(10), timeout=5))
    second = asyncio.create_task(worker.run(ran.set, timeout=5))
    await asyncio.sleep(0)
    second.cancel()
    release.set()
    await first
    await worker.run(lambda: None, timeout=5)
    assert not ran.is_set()


HANGING = """
import asyncio, time
from cardd.errors import CardTimeout
from cardd.worker import Worker
async def main():
    worker = Worker("hangs", lambda timeout: CardTimeout(seconds=0))
    try:
        await worker.run(lambda: time.sleep(60), timeout=0.05)
    except CardTimeout:
        await worker.close(lambda: None, timeout=0.05)
asyncio.run(main())
"""


def test_a_hanging_job_does_not_keep_the_interpreter_from_exiting() -> None:
    subprocess.run([sys.executable, "-c", HANGING], cwd=ROOT, check=True, timeout=10)
