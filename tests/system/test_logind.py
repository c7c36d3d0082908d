"""Sleep and screen locks, over a real bus with a simulated logind."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from cardd.system.logind import DesktopEvent, Logind, WatchState
from tests.rig.logind import SESSION, Bus, SimulatedLogind, path

pytestmark = pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="dbus is not installed")

LOCKED_1000 = (DesktopEvent.LOCK, 1000)
UNLOCKED_1000 = (DesktopEvent.UNLOCK, 1000)
SUSPEND = (DesktopEvent.SUSPEND, None)


class Watched:
    """A running watch and what it told."""

    def __init__(self, address: str) -> None:
        self.told: asyncio.Queue[tuple[DesktopEvent, int | None]] = asyncio.Queue()
        self.watch = Logind(lambda kind, uid: self.told.put_nowait((kind, uid)), address=address)

    async def start(self) -> Watched:
        await self.watch.start()
        return self

    async def next(self) -> tuple[DesktopEvent, int | None]:
        async with asyncio.timeout(10):
            return await self.told.get()


@pytest.fixture
async def watched(bus: Bus) -> AsyncIterator[Watched]:
    watched = await Watched(bus.address).start()
    yield watched
    await watched.watch.stop()


@pytest.fixture
async def logind(bus: Bus) -> AsyncIterator[SimulatedLogind]:
    async with SimulatedLogind(bus.address, {"1": 1000, "2": 1001}) as logind:
        yield logind


async def until(state: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not state():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.fixture
async def watching(logind: SimulatedLogind, watched: Watched) -> Watched:
    await until(lambda: watched.watch.state is WatchState.WATCHING)
    return watched


async def test_a_suspend_is_told_and_the_waking_up_is_not(logind: SimulatedLogind, watching: Watched) -> None:
    await logind.sleep(begins=True)
    await logind.sleep(begins=False)
    await logind.lock("1")
    assert [await watching.next(), await watching.next()] == [SUSPEND, LOCKED_1000]


async def test_a_lock_is_told_with_the_sessions_user(logind: SimulatedLogind, watching: Watched) -> None:
    await logind.lock("1")
    assert await watching.next() == LOCKED_1000
    await logind.lock("2")
    assert await watching.next() == (DesktopEvent.LOCK, 1001)
    await logind.unlock("1")
    assert await watching.next() == UNLOCKED_1000


async def test_the_desktops_own_screen_lock_is_told(logind: SimulatedLogind, watching: Watched) -> None:
    await logind.hint("1", locked=True)
    assert await watching.next() == LOCKED_1000
    await logind.hint("1", locked=False)
    while (told := await watching.next()) == LOCKED_1000:  # as it stood, and as it changed, where both were seen
        pass
    assert told == UNLOCKED_1000


async def test_each_lock_is_told_even_when_no_unlock_was_seen_between(
    logind: SimulatedLogind, watching: Watched
) -> None:
    for _ in range(3):
        await logind.lock("1")
        assert await watching.next() == LOCKED_1000


async def test_a_session_opened_later_is_known_too(logind: SimulatedLogind, watching: Watched) -> None:
    logind.sessions["7"] = 1007
    await logind.lock("7")
    assert await watching.next() == (DesktopEvent.LOCK, 1007)


async def test_a_session_number_used_again_belongs_to_its_new_user(logind: SimulatedLogind, watching: Watched) -> None:
    await logind.lock("1")
    assert await watching.next() == LOCKED_1000
    await logind.log_out("1")
    logind.sessions["1"] = 1009
    await logind.lock("1")
    assert await watching.next() == (DesktopEvent.LOCK, 1009)


async def test_a_session_that_ended_meanwhile_is_let_go(logind: SimulatedLogind, watching: Watched) -> None:
    await logind.lock("9")
    await logind.lock("1")
    assert await watching.next() == LOCKED_1000


async def test_a_screen_locked_before_the_watch_began_is_told(bus: Bus, logind: SimulatedLogind) -> None:
    logind.locked.add("2")
    watched = await Watched(bus.address).start()
    assert await watched.next() == (DesktopEvent.LOCK, 1001)
    await watched.watch.stop()


async def test_signals_of_another_program_are_ignored(bus: Bus, logind: SimulatedLogind, watching: Watched) -> None:
    other = await MessageBus(bus.address).connect()
    await other.send(Message.new_signal(path("1"), SESSION, "Lock"))
    for destination in (":1.0", ":1.1", ":1.2"):  # straight to a connection, where no match rule filters
        signal = Message.new_signal(path("1"), SESSION, "Lock")
        signal.destination = destination
        await other.send(signal)
    await other.call(Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId"))
    await logind.lock("2")
    assert await watching.next() == (DesktopEvent.LOCK, 1001)
    other.disconnect()


async def test_logind_may_come_and_go_while_the_bus_stays(bus: Bus, watched: Watched) -> None:
    await until(lambda: watched.watch.state is WatchState.NO_LOGIND)
    for uid in (1000, 1001):
        async with SimulatedLogind(bus.address, {"1": uid}) as logind:
            await until(lambda: watched.watch.state is WatchState.WATCHING)
            await logind.lock("1")
            assert await watched.next() == (DesktopEvent.LOCK, uid)
        await until(lambda: watched.watch.state is WatchState.NO_LOGIND)


async def test_a_bus_that_went_is_joined_again_when_it_is_back(bus: Bus, watched: Watched) -> None:
    await until(lambda: watched.watch.state is WatchState.NO_LOGIND)
    bus.stop()
    await until(lambda: watched.watch.state is WatchState.RECONNECTING)
    bus.start()
    async with SimulatedLogind(bus.address, {"1": 1000}) as logind:
        await until(lambda: watched.watch.state is WatchState.WATCHING)
        await logind.lock("1")
        assert await watched.next() == LOCKED_1000


async def test_a_workstation_without_a_bus_is_quietly_not_watched(tmp_path: Path) -> None:
    watched = await Watched(f"unix:path={tmp_path}/absent").start()
    await until(lambda: watched.watch.state is WatchState.NO_BUS)
    await watched.watch.stop()
    assert watched.watch.state is WatchState.OFF


async def test_a_watch_that_never_began_can_be_stopped() -> None:
    watch = Logind(lambda _kind, _uid: None)
    await watch.stop()
    assert watch.state is WatchState.OFF
