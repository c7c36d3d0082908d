"""What two looks at the readers differ in, for the cases that no virtual reader can show."""

from __future__ import annotations

from cardd.pcsc.watch import Change, ChangeKind, Slots
from cardd.pcsc.winscard import PNP_READER, EventState, ReaderState

ATR = b"\x3b\x00"


def with_card(counter: int = 1) -> tuple[Slots, list[Change]]:
    slots = Slots()
    slots.listed(["A"])
    changes, _ = slots.seen([ReaderState("A", counter << 16 | EventState.PRESENT, ATR)])
    return slots, changes


def test_a_card_with_another_count_of_events_is_another_card() -> None:
    slots, changes = with_card(counter=1)
    assert changes == [Change(ChangeKind.CARD_IN, "A", ATR)]
    changes, _ = slots.seen([ReaderState("A", 3 << 16 | EventState.PRESENT, ATR)])
    assert changes == [Change(ChangeKind.CARD_OUT, "A"), Change(ChangeKind.CARD_IN, "A", ATR)]


def test_a_program_that_connects_or_resets_changes_nothing() -> None:
    slots, _ = with_card()
    for flags in (0x0100, 0x0080, 0x0400):  # in use, exclusive, unpowered
        changes, stale = slots.seen([ReaderState("A", 1 << 16 | EventState.PRESENT | flags, ATR)])
        assert (changes, stale) == ([], False)


def test_a_card_that_falls_silent_is_told_anew_as_mute() -> None:
    slots, _ = with_card()
    changes, _ = slots.seen([ReaderState("A", 1 << 16 | EventState.PRESENT | EventState.MUTE, ATR)])
    assert changes == [Change(ChangeKind.CARD_OUT, "A"), Change(ChangeKind.CARD_IN, "A", b"")]


def test_an_unplugged_reader_takes_its_card_along() -> None:
    slots, _ = with_card()
    changes, stale = slots.seen([ReaderState("A", EventState.UNKNOWN | EventState.UNAVAILABLE | 2, b"")])
    assert stale
    assert changes + slots.listed([]) == [Change(ChangeKind.CARD_OUT, "A"), Change(ChangeKind.REMOVED, "A")]
    assert [name for name, _ in slots.query()] == [PNP_READER]


def test_a_reader_that_is_unplugged_and_plugged_between_two_looks_is_read_from_scratch() -> None:
    slots, _ = with_card()
    slots.listed([])
    slots.listed(["A"])
    assert slots.query()[0] == ("A", 0)


def test_news_of_the_list_ask_for_reading_it() -> None:
    slots = Slots()
    assert slots.seen([ReaderState(PNP_READER, 0x0002, b"")]) == ([], True)
    assert slots.seen([ReaderState(PNP_READER, 5 << 16, b"")]) == ([], False)
    assert slots.query() == [(PNP_READER, 5 << 16)]


def test_a_reader_that_pcscd_is_still_starting_does_not_make_the_wait_spin() -> None:
    slots = Slots()
    slots.listed(["A"])
    slots.seen([ReaderState("A", 0x0002, b"")])
    assert slots.query()[0] == ("A", EventState.EMPTY)


def test_as_many_readers_as_pcsc_has_are_watched_without_the_list() -> None:
    slots = Slots()
    slots.listed([f"R{number}" for number in range(16)])
    assert len(slots.query()) == 16
    slots.listed([f"R{number}" for number in range(15)])
    assert slots.query()[-1][0] == PNP_READER
