"""The parts' lifecycle: everybody hears, in a stated order, and stopping is starting backwards."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from cardd.core.lifecycle import Lifecycle, Outer, Part
from cardd.errors import StateUnavailable
from cardd.model import CallerKey
from tests.rig.memory import JumpingLoop


class Told(Part):
    """Writes down what it hears, in a list that it shares with others."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    async def start(self) -> None:
        self._told.append(f"{self._name} starts")

    async def watch(self) -> None:
        self._told.append(f"{self._name} watches")

    async def stop(self) -> None:
        self._told.append(f"{self._name} stops")

    def client_shut_out(self, client: CallerKey, reason: str, name: str) -> None:
        self._told.append(f"{self._name} hears of {client.id}")


class Listening(Part):
    """Keeps what it hears of one kind of news."""

    def __init__(self, what: str, told: list[tuple[object, ...]]) -> None:
        setattr(self, what, lambda *values: told.append(values))


class Broken(Part):
    """Fails whatever it is asked."""

    async def stop(self) -> None:
        raise RuntimeError

    def client_shut_out(self, client: CallerKey, reason: str, name: str) -> None:
        raise RuntimeError


class Hanging(Part):
    """Never stops."""

    async def stop(self) -> None:
        await asyncio.Event().wait()


class Refusing(Part):
    """Cannot start."""

    async def start(self) -> None:
        raise StateUnavailable(file="logins.json", why="the disk is full")


async def test_parts_start_in_their_order_and_stop_in_its_reverse() -> None:
    told: list[str] = []
    lifecycle = Lifecycle()
    lifecycle.join(Told("store", told), Told("api", told))
    await lifecycle.start()
    await lifecycle.watch()
    await lifecycle.stop()
    assert told == [
        "store starts",
        "api starts",
        "store watches",
        "api watches",
        "api stops",
        "store stops",
    ]


async def test_a_part_of_an_outer_layer_has_its_turn_among_the_others() -> None:
    told: list[str] = []

    async def begin() -> None:
        told.append("outer begins")

    async def end() -> None:
        told.append("outer ends")

    lifecycle = Lifecycle()
    lifecycle.join(Told("store", told), Outer("outer", watching=begin, stopping=end))
    await lifecycle.start()
    await lifecycle.watch()
    await lifecycle.stop()
    assert told == ["store starts", "store watches", "outer begins", "outer ends", "store stops"]


HEARD = [name for name, one in inspect.getmembers(Part, inspect.isfunction) if not inspect.iscoroutinefunction(one)]


@pytest.mark.parametrize("what", HEARD)
async def test_whatever_is_told_reaches_every_part_as_it_was_told(what: str) -> None:
    told: list[tuple[object, ...]] = []
    lifecycle = Lifecycle()
    for _ in range(2):
        lifecycle.join(Listening(what, told))
    values = tuple(inspect.signature(getattr(lifecycle, what)).parameters)
    getattr(lifecycle, what)(*values)
    assert told == [values] * 2


async def test_a_part_that_fails_keeps_no_other_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    lifecycle = Lifecycle()
    lifecycle.join(Told("first", told), Broken(), Told("last", told))
    lifecycle.client_shut_out(CallerKey(1000, "lps-1"), "client_removed", "LPS")
    assert told == ["first hears of lps-1", "last hears of lps-1"]
    [row] = caplog.records
    assert row.getMessage() == "Broken failed to hear what happened"
    assert row.exc_info


async def test_a_part_that_fails_or_hangs_keeps_no_other_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    lifecycle = Lifecycle(patience=0.01)
    lifecycle.join(Told("first", told), Broken(), Hanging(), Told("last", told))
    await lifecycle.start()
    await lifecycle.stop()
    assert told == ["first starts", "last starts", "last stops", "first stops"]
    hanging, broken = caplog.records
    assert hanging.getMessage() == "Hanging does not stop and is abandoned"
    assert broken.getMessage() == "Broken failed to stop"
    assert broken.exc_info
    assert broken.exc_info[0] is RuntimeError


async def test_a_part_of_an_outer_layer_is_logged_by_its_own_name(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle = Lifecycle()
    lifecycle.join(Outer("relay", stopping=Broken().stop))
    await lifecycle.start()
    await lifecycle.stop()
    assert [row.getMessage() for row in caplog.records] == ["relay failed to stop"]


def seconds_to_stop(lifecycle: Lifecycle) -> float:
    async def stopped() -> float:
        await lifecycle.start()
        began = asyncio.get_running_loop().time()
        await lifecycle.stop()
        return asyncio.get_running_loop().time() - began

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(stopped())


def test_parts_that_hang_take_no_longer_than_the_time_there_is_and_leave_some_for_each() -> None:
    told: list[str] = []
    lifecycle = Lifecycle(patience=8)
    lifecycle.join(Told("audit", told), Hanging(), Hanging(), Hanging(), Told("last", told))

    assert seconds_to_stop(lifecycle) == pytest.approx(4 + 2 + 1)
    assert told[-2:] == ["last stops", "audit stops"]


def test_where_no_time_is_left_each_part_is_told_to_stop_and_none_is_waited_for() -> None:
    told: list[str] = []
    lifecycle = Lifecycle(patience=0)
    lifecycle.join(Told("audit", told), Hanging(), Told("last", told))

    assert seconds_to_stop(lifecycle) == 0
    assert told[-2:] == ["last stops", "audit stops"]


async def test_what_had_started_stops_where_a_part_cannot_start() -> None:
    told: list[str] = []
    lifecycle = Lifecycle()
    lifecycle.join(Told("store", told), Refusing(), Told("api", told))
    with pytest.raises(StateUnavailable):
        await lifecycle.start()
    assert told == ["store starts", "store stops"]
