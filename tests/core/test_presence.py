"""Who waits for an answer: when nobody does any more, why, and what of the work ends then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cardd.core.presence import (
    PolledPresence,
    Presence,
    ensure_waited_for,
    has_caller_left,
    waited_for_by,
    while_waited_for,
)
from cardd.errors import CallerLeft, ClientLocked, SessionClosed
from tests.rig.memory import JumpingLoop


def called(presence: Presence) -> list[str]:
    """Return what is added to when nobody waits any more."""
    calls: list[str] = []
    presence.on_left(lambda: calls.append("left"))
    return calls


def test_a_caller_that_hangs_up_has_taken_its_request_back() -> None:
    presence = Presence()
    calls = called(presence)
    assert (presence.is_left, presence.is_taken_back, calls) == (False, False, [])
    presence.leave()
    assert (presence.is_left, presence.is_taken_back, calls) == (True, True, ["left"])
    assert isinstance(presence.why, CallerLeft)


def test_of_several_that_share_an_answer_the_last_one_ends_it() -> None:
    presence = Presence(2)
    calls = called(presence)
    presence.leave()
    assert (presence.is_left, calls) == (False, [])
    presence.leave()
    assert (presence.is_left, calls) == (True, ["left"])


@pytest.mark.parametrize("is_by_caller", [True, False])
def test_whoever_may_not_ask_any_more_is_told_why_and_all_of_them_at_once(is_by_caller: bool) -> None:
    presence, why = Presence(2), ClientLocked()
    calls = called(presence)
    presence.revoke(why, is_by_caller=is_by_caller)
    assert (presence.is_left, presence.is_taken_back, presence.why) == (True, is_by_caller, why)
    presence.revoke(CallerLeft(), is_by_caller=not is_by_caller)
    assert (presence.is_taken_back, presence.why, calls) == (is_by_caller, why, ["left"])


def test_what_takes_its_word_back_is_not_called() -> None:
    presence = Presence()
    calls = called(presence)
    presence.on_left(lambda: calls.append("never"))()
    presence.leave()
    assert calls == ["left"]


def test_who_joins_waits_as_well_until_it_has_its_answer_or_leaves() -> None:
    shared, other = Presence(0), Presence()
    with shared.joined(other):
        assert not shared.is_left
    assert shared.is_left
    calls = called(shared)
    with shared.joined(Presence()), shared.joined(other):
        other.leave()
        assert (shared.is_left, calls) == (False, [])
    assert (shared.is_left, calls) == (True, ["left"])


def test_who_leaves_before_its_answer_is_there_is_counted_once() -> None:
    shared, other = Presence(), Presence()
    with shared.joined(other):
        other.leave()
    assert not shared.is_left


def test_the_last_one_that_joined_tells_why_nobody_waits() -> None:
    shared, other, why = Presence(0), Presence(), ClientLocked()
    with shared.joined(other):
        other.revoke(why, is_by_caller=False)
        assert (shared.is_left, shared.is_taken_back, shared.why) == (True, False, why)
        with shared.joined(Presence()):
            assert not shared.is_left  # it is joined again
        assert shared.is_taken_back
        assert isinstance(shared.why, CallerLeft)


def polled(course: Callable[[PolledPresence], Awaitable[None]]) -> PolledPresence:
    """Return a caller that is missed after ten seconds, when this course has been taken."""

    async def taken() -> PolledPresence:
        presence = PolledPresence(10)
        await course(presence)
        return presence

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(taken())


def test_a_caller_that_does_not_come_back_in_time_is_gone() -> None:
    async def course(presence: PolledPresence) -> None:
        await asyncio.sleep(9)
        presence.heard()
        await asyncio.sleep(9)
        assert not presence.is_left
        await asyncio.sleep(2)

    assert polled(course).is_taken_back


def test_a_caller_whose_work_has_ended_need_not_come_back() -> None:
    async def course(presence: PolledPresence) -> None:
        presence.end()
        await asyncio.sleep(20)

    assert not polled(course).is_left


# --- the work that is waited for


async def test_work_for_nobody_is_told_so() -> None:
    ensure_waited_for()
    assert not has_caller_left()
    presence = Presence()
    with waited_for_by(presence):
        ensure_waited_for()
        assert not has_caller_left()
        presence.leave()
        assert has_caller_left()
        with pytest.raises(CallerLeft):
            ensure_waited_for()
        with waited_for_by(None):
            ensure_waited_for()
            assert not has_caller_left()
    ensure_waited_for()


async def test_who_was_shut_out_has_not_left_by_its_own_will() -> None:
    presence = Presence()
    with waited_for_by(presence):
        presence.revoke(ClientLocked(), is_by_caller=False)
        assert not has_caller_left()
        with pytest.raises(ClientLocked):
            ensure_waited_for()


async def test_what_is_waited_for_ends_when_nobody_does_any_more() -> None:
    presence, why = Presence(), SessionClosed(reason="logout")

    async def asks() -> None:
        async with while_waited_for():
            await asyncio.Event().wait()

    with waited_for_by(presence):
        asking = asyncio.ensure_future(asks())
    await asyncio.sleep(0)
    assert not asking.done()
    presence.revoke(why, is_by_caller=False)
    with pytest.raises(SessionClosed) as told:
        await asking
    assert told.value is why
    assert told.value.__suppress_context__
    assert asking.cancelling() == 0


async def test_what_nobody_waits_for_does_not_begin() -> None:
    presence = Presence()
    presence.leave()
    with waited_for_by(presence), pytest.raises(CallerLeft):
        async with while_waited_for():
            pytest.fail("it began")


async def test_what_follows_goes_on_when_its_caller_leaves() -> None:
    presence = Presence()
    with waited_for_by(presence):
        async with while_waited_for():
            pass
        presence.leave()
        await asyncio.sleep(0)
    async with while_waited_for():
        pass  # nobody is known to wait: it has a life of its own


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_cancels_the_work_for_another_reason_is_obeyed(leaves: bool) -> None:
    presence = Presence()

    async def asks() -> None:
        async with while_waited_for():
            await asyncio.Event().wait()

    with waited_for_by(presence):
        asking = asyncio.ensure_future(asks())
    await asyncio.sleep(0)
    asking.cancel()
    if leaves:  # both at once: the daemon stops, and the caller hangs up
        presence.leave()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_cancelling_that_was_caught_before_counts_for_nothing() -> None:
    presence = Presence()

    async def asks() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            async with while_waited_for():
                await asyncio.Event().wait()

    with waited_for_by(presence):
        asking = asyncio.ensure_future(asks())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    presence.leave()
    with pytest.raises(CallerLeft):
        await asking


async def test_a_failure_of_the_work_is_told_as_it_is() -> None:
    presence = Presence()
    with waited_for_by(presence), pytest.raises(ClientLocked):
        async with while_waited_for():
            raise ClientLocked
    presence.leave()
