"""Events: who listens gets its own, in order, and who does not read them is let go."""

from __future__ import annotations

from cardd.core.events import QUEUE_MAX, EventBus
from cardd.model import CallerKey, Event

US, OTHERS = CallerKey(1000, "lps-1"), CallerKey(1001, "lps-1")


def numbered(count: int, to: CallerKey | None = None) -> list[Event]:
    return [Event("reader.added", {"number": number}, to) for number in range(count)]


async def test_who_listens_gets_what_is_for_all_and_for_itself_in_order() -> None:
    bus = EventBus()
    ours, others, own_only = bus.subscribe(US), bus.subscribe(OTHERS), bus.subscribe(US, public=False)
    for_all, for_us = numbered(2), numbered(1, US)
    for event in (*for_all, *for_us):
        bus.publish(event)
    bus.close()
    assert [await ours.next() for _ in range(4)] == [*for_all, *for_us, None]
    assert [await others.next() for _ in range(3)] == [*for_all, None]
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
