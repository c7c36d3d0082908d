"""A lock that callers have in turns, whoever waits with many requests and whoever leaves."""

from __future__ import annotations

import asyncio

import pytest

from cardd.core.fair_lock import FairLock


class Counter:
    """A lock, those who have it, in order, and how each gives it back."""

    def __init__(self) -> None:
        self.lock = FairLock()
        self.had: list[str] = []
        self.goes_on = asyncio.Event()

    def come(self, caller: str, name: str = "") -> asyncio.Task[None]:
        return asyncio.ensure_future(self._have(caller, name or caller))

    async def _have(self, caller: str, name: str) -> None:
        async with self.lock.turn(caller):
            self.had.append(name)
            await self.goes_on.wait()

    async def next(self) -> list[str]:
        """Have the lock given back; return who had it until now."""
        self.goes_on.set()
        self.goes_on.clear()
        await settled()
        return self.had


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def counter() -> Counter:
    return Counter()


async def test_one_has_it_at_a_time_and_it_is_free_again_afterwards(counter: Counter) -> None:
    for caller in ("a", "b"):
        counter.come(caller)
    await settled()
    assert counter.had == ["a"]
    assert await counter.next() == ["a", "b"]
    await counter.next()
    counter.come("c")
    await settled()
    assert counter.had == ["a", "b", "c"]
    counter.come("d")
    await settled()
    assert counter.had == ["a", "b", "c"]


async def test_who_waits_with_many_has_it_once_before_each_other_has_it_once(counter: Counter) -> None:
    for caller, name in (("x", ""), ("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("c", "c1")):
        counter.come(caller, name)
        await settled()
    for _ in range(6):
        await counter.next()
    assert counter.had == ["x", "a1", "b1", "c1", "a2", "b2", "a3"]


async def test_who_leaves_the_line_is_passed_over(counter: Counter) -> None:
    counter.come("a")
    leaving = [counter.come("b", "b1"), counter.come("c")]
    counter.come("b", "b2")
    await settled()
    for task in leaving:
        task.cancel()
    await settled()
    assert await counter.next() == ["a", "b2"]


async def test_who_leaves_in_the_moment_of_its_turn_gives_it_to_the_next(counter: Counter) -> None:
    await counter.lock.take("a")
    leaves, stays = counter.come("b"), counter.come("c")
    await settled()
    counter.lock.pass_on()
    leaves.cancel()
    await settled()
    assert counter.had == ["c"]
    counter.goes_on.set()
    await stays


async def test_who_leaves_while_another_has_it_takes_it_from_nobody(counter: Counter) -> None:
    counter.come("a")
    await settled()
    leaves = counter.come("b")
    counter.come("c")
    await settled()
    leaves.cancel()
    await settled()
    assert counter.had == ["a"]
    with pytest.raises(asyncio.CancelledError):
        await leaves


async def test_a_failure_inside_gives_it_back(counter: Counter) -> None:
    with pytest.raises(ZeroDivisionError):
        async with counter.lock.turn("a"):
            raise ZeroDivisionError
    async with asyncio.timeout(5), counter.lock.turn("b"):
        pass
