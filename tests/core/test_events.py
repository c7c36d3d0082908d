"""Events: who listens gets its own, in order, and who does not read them is let go."""

from __future__ import annotations

import asyncio

from cardd.core.events import QUEUE_MAX, EventBus
from cardd.model import CallerKey, Event

US, OTHERS = CallerKey(1000, "lps-1"), CallerKey(1001, "lps-1")


def numbered(count: int, to: CallerKey | None = None) -> list[Event]:
    return [Event("reader.added", {"number": number}, to) for number in range(count)]


async def test_who_listens_gets_what_is_for_all_and_for_itself_in_order() -> None:
    bus = EventBus()
    ours, others, own_only = bus.subscribe(US), bus.subscribe(OTHERS), bus.subscribe(US, public=False)
    neighbour = bus.subscribe(CallerKey(US.uid, "lps-2"))
    for_all, for_us = numbered(2), numbered(1, US)
    for event in (*for_all, *for_us):
        bus.publish(event)
    bus.close()
    assert [await ours.next() for _ in range(4)] == [*for_all, *for_us, None]
    assert [await others.next() for _ in range(3)] == [*for_all, None]
    assert [await neighbour.next() for _ in range(3)] == [*for_all, None]
    assert [await own_only.next() for _ in range(2)] == [*for_us, None]


async def test_what_is_about_one_users_own_reader_is_told_to_all_of_theirs_and_to_nobody_else() -> None:
    bus = EventBus()
    ours, owners = bus.subscribe(CallerKey(US.uid, "lps-2"), public=False), bus.subscribe(OTHERS)
    nobodys = bus.subscribe(None)
    lent = Event("reader.added", {"number": 0}, user=US.uid)
    bus.publish(lent)
    bus.close()
    assert [await ours.next(), await ours.next()] == [lent, None]
    assert (await owners.next(), await nobodys.next()) == (None, None)


async def test_who_does_not_read_is_let_go_with_what_came_until_then() -> None:
    bus = EventBus()
    slow, quick = bus.subscribe(US), bus.subscribe(OTHERS)
    events = numbered(QUEUE_MAX + 10)
    read = []
    for event in events:
        bus.publish(event)
        read.append(await quick.next())
    assert read == events
    assert [await slow.next() for _ in range(QUEUE_MAX + 1)] == [*events[:QUEUE_MAX], None]
    assert not bus.is_heard_by(US)
    assert bus.is_heard_by(OTHERS)


async def test_who_listens_for_a_whole_user_hears_that_others_were_told_something_and_not_what() -> None:
    bus = EventBus()
    tray = bus.subscribe(CallerKey(US.uid, "tray"), whole_user=True)
    strangers = bus.subscribe(None, whole_user=True)
    for event in (Event("prompt.opened", {"topic": "sign"}, to=US), Event("prompt.closed", {}, to=OTHERS)):
        bus.publish(event)
    own = Event("prompt.closed", {"topic": "tray"}, to=CallerKey(US.uid, "tray"))
    bus.publish(own)
    bus.close()
    assert await tray.next() == Event("prompt.opened", {}, to=CallerKey(US.uid, "tray"))
    assert [await tray.next(), await tray.next()] == [own, None]
    assert await strangers.next() is None


async def test_whoever_waits_is_woken_by_an_event_and_by_the_end() -> None:
    bus = EventBus()
    ours = bus.subscribe(US)
    events = numbered(2)

    async def waiting() -> asyncio.Task[Event | None]:
        waits = asyncio.ensure_future(ours.next())
        await asyncio.sleep(0)
        assert not waits.done()
        return waits

    waits = await waiting()
    for event in events:
        bus.publish(event)
    assert [await asyncio.wait_for(waits, 5), await ours.next()] == events
    waits = await waiting()
    bus.close()
    assert await asyncio.wait_for(waits, 5) is None


async def test_what_comes_after_the_end_is_not_read() -> None:
    bus = EventBus()
    ours = bus.subscribe(US)
    [before, after] = numbered(2)
    bus.publish(before)
    ours.end()
    ours.end()
    ours.offer(after)
    assert [await ours.next(), await ours.next()] == [before, None]


async def test_those_who_are_chosen_end_and_the_others_listen_on() -> None:
    bus = EventBus()
    ours, others = bus.subscribe(US), bus.subscribe(OTHERS)
    bus.end_where(lambda one: one.caller == US)
    assert await ours.next() is None
    assert (bus.listeners, bus.is_heard_by(US), bus.is_heard_by(OTHERS)) == (1, False, True)
    [event] = numbered(1)
    bus.publish(event)
    assert await others.next() == event


async def test_the_streams_of_a_users_pages_are_told_each_as_often_as_it_listens() -> None:
    bus = EventBus()
    page = CallerKey(US.uid, "https://site.example key")
    for caller in (page, US, page, None, CallerKey(OTHERS.uid, page.id)):
        bus.subscribe(caller)
    assert bus.streams_of_pages(US.uid) == [page, page]
    assert bus.listeners == 5
