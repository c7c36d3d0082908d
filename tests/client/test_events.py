"""Events through the client library, over a daemon that goes and comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.client import CarddClient
from cardd.client.events import parse
from cardd.errors import ClientUnknown, DaemonUnreachable
from cardd.model import Event
from tests.api.workbench import Workbench

LIMIT = 10.0


async def following(events: AsyncIterator[Event], kind: str) -> Event:
    """The next event of this type."""
    async with asyncio.timeout(LIMIT):
        async for event in events:
            if event.type == kind:
                return event
    raise AssertionError("the events ended")


async def test_events_begin_with_how_things_are_and_go_on_with_what_happens(
    bench: Workbench, local: CarddClient
) -> None:
    events = local.events()
    hello = await following(events, "hello")
    assert hello.data["available"] is True
    bench.reader.remove()
    assert (await following(events, "card.removed")).data["reader"] == "Lecteur A"


async def test_a_daemon_that_comes_back_is_found_again(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    await bench.start()
    async with CarddClient(Path(bench.path)) as client:
        events = client.events()
        await following(events, "hello")
        await bench.stop()
        os.unlink(bench.path)  # noqa: PTH108 - as quick as it looks
        again = Workbench(tmp_path)
        await again.start()
        await following(events, "hello")
        await again.stop()


async def test_without_a_daemon_at_first_the_program_is_told(tmp_path: Path) -> None:
    async with CarddClient(tmp_path / "no.sock") as client:
        with pytest.raises(DaemonUnreachable):
            await anext(client.events())


async def test_a_refused_program_is_told_instead_of_retried(bench: Workbench) -> None:
    async with CarddClient(bench.base(), "not a secret") as client:
        with pytest.raises(ClientUnknown):
            await anext(client.events())


class Lines:
    """Lines in memory."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line


@given(st.lists(st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"") + b"\n"), max_size=20))
def test_whatever_a_stream_holds_it_parses_or_is_left_out(lines: list[bytes]) -> None:
    async def read() -> None:
        async for event in parse(Lines(lines)):
            assert event.type

    asyncio.run(read())


async def test_an_event_with_more_levels_than_any_has_is_left_out() -> None:
    lines = [b"event: card.inserted\n", b'data: {"reader": ' + b"[" * 5000 + b"\n", b"\n"]
    assert [event async for event in parse(Lines(lines))] == []
