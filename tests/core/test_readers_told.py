"""Who is told of readers and cards that come and leave: programs, traces, the other parts, and who uses a card."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import pytest
import pytest_asyncio

from cardd.config import Card
from cardd.core.events import Subscription
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import DriverRegistry, Readers
from cardd.core.trace import Trace
from cardd.driver import Channel
from cardd.errors import (
    CardMute,
    CardRemoved,
    PcscUnavailable,
    PinBackOff,
    PinWrong,
    ReaderGone,
    ReaderNotYours,
)
from cardd.model import CallerKey, CardKind, Event, JsonValue
from cardd.ports import CardConnection, Token
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.alone import Alone
from tests.core.at_card import Token as Answering

T = TypeVar("T")

SLOT, LENT, HSM = "Lecteur A", "Lecteur de 1000", "hsm: token"
CPS3 = bytes.fromhex("3BAC00402A001225006480000310009000")
MINE, OWNERS = CallerKey(1000, "lps"), CallerKey(1001, "lps")


@dataclass
class CardsHeard(Part):
    """What the other parts hear of cards."""

    inserted: list[InsertedCard] = field(default_factory=list)
    removed: list[tuple[InsertedCard, str]] = field(default_factory=list)

    def card_inserted(self, card: InsertedCard) -> None:
        self.inserted.append(card)

    def card_removed(self, card: InsertedCard, reason: str) -> None:
        self.removed.append((card, reason))


class TimedReader(InProcessReader):
    """Notes how long each job may take."""

    timeouts: tuple[float, ...] = ()

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        self.timeouts = (*self.timeouts, timeout)
        return await super().run(job, timeout=timeout)


class Station(Alone):
    """The readers; ``refused`` is who may present no code, and ``asked`` how often it was asked who else waits."""

    def __init__(self) -> None:
        super().__init__()
        self.cards_heard, self.trace = CardsHeard(), Trace(self.clock)
        self.lifecycle.join(self.cards_heard)
        self.guard = PinGuard(self.clock)
        self.asked, self.refused = 0, set[CallerKey]()
        self.presented: list[InsertedCard] = []
        self.readers = Readers(
            DriverRegistry([Cps3Driver(), Cps4Driver()]),
            self.events,
            self.trace,
            self.lifecycle,
            Card(hold=0.5, timeout=7.0),
            guard=self.guard,
            admit=self._admit,
            others=self._others,
        )
        self.mine = self.events.subscribe(MINE, public=False)
        self.owners = self.events.subscribe(OWNERS)

    def _admit(self, caller: CallerKey, card: InsertedCard) -> None:
        self.presented.append(card)
        if caller in self.refused:
            raise ReaderNotYours

    def _others(self) -> bool:
        self.asked += 1
        return False

    def reader(self, name: str = SLOT, user: int | None = None, card: SimulatedCard | None = None) -> TimedReader:
        reader = TimedReader(name, card, lambda channel: self.readers.open_card(name, channel))
        self.readers.reader_added(reader, user)
        if card:
            self.readers.card_inserted(name, card.atr)
        return reader

    async def told(self, heard: Subscription) -> list[tuple[str, dict[str, JsonValue]]]:
        """Return the events that came to a listener since the last time."""
        self.events.publish(Event("end", to=heard.caller))
        found = []
        while (event := await heard.next()) and event.type != "end":
            found.append((event.type, dict(event.data)))
        return found


@pytest_asyncio.fixture
async def station() -> AsyncIterator[Station]:
    station = Station()
    yield station
    await station.readers.stop()


# --- events


async def test_programs_hear_of_the_service_readers_and_cards_in_the_order_in_which_they_come(station: Station) -> None:
    station.readers.readers_available(True)
    station.reader()
    station.readers.card_inserted(SLOT, CPS3)
    [card] = station.readers.cards()
    station.readers.reader_removed(SLOT)
    station.readers.source_failed("opensc", "it ended")
    station.readers.readers_available(False)
    assert await station.told(station.owners) == [
        ("readers.available", {}),
        ("reader.added", {"reader": SLOT}),
        ("card.inserted", {"card": card.id, "reader": SLOT, "kind": "cps3"}),
        ("card.removed", {"card": card.id, "reader": SLOT}),
        ("reader.removed", {"reader": SLOT}),
        ("module.failed", {"module": "opensc", "why": "it ended"}),
        ("readers.unavailable", {}),
    ]


async def test_of_a_lent_reader_its_user_hears_all_and_nobody_else_anything(station: Station) -> None:
    station.reader(LENT, user=1000)
    station.readers.card_inserted(LENT, CPS3)
    station.readers.reader_removed(LENT)
    kinds = ["reader.added", "card.inserted", "card.removed", "reader.removed"]
    assert [kind for kind, _ in await station.told(station.mine)] == kinds
    assert await station.told(station.owners) == []
    station.reader()
    station.readers.card_inserted(SLOT, CPS3)
    assert await station.told(station.mine) == []
    assert len(await station.told(station.owners)) == 2


async def test_what_is_not_there_does_not_leave(station: Station) -> None:
    station.reader()
    await station.told(station.owners)
    station.readers.card_removed(SLOT)
    station.readers.card_removed("no reader")
    station.readers.reader_removed("no reader")
    assert await station.told(station.owners) == []
    assert station.cards_heard.removed == []


@pytest.mark.parametrize("user", [None, 1000])
async def test_a_trace_has_readers_and_cards_with_their_answers_to_reset(station: Station, user: int | None) -> None:
    mine, support = station.trace.follow(MINE), station.trace.follow(CallerKey(0, "support"))
    station.reader(user=user)
    station.readers.card_inserted(SLOT, CPS3)
    station.readers.reader_removed(SLOT)
    heard = mine if user else support
    told = [event for event in [await heard.next() for _ in range(4)] if event]
    assert [(event.type, event.data["reader"], event.data.get("atr")) for event in told] == [
        ("reader.added", SLOT, None),
        ("card.inserted", SLOT, CPS3.hex().upper()),
        ("card.removed", SLOT, None),
        ("reader.removed", SLOT, None),
    ]
    assert {event.user for event in told} == {user}
    station.trace.close()
    assert await support.next() is None


@pytest.mark.parametrize("user", [None, 1000])
async def test_a_trace_has_what_goes_to_a_card_by_the_name_of_its_reader_and_for_whose_it_is(
    station: Station, simulated_card: SimulatedCard, user: int | None
) -> None:
    station.readers.readers_available(True)
    station.reader(user=user, card=simulated_card)
    heard = station.trace.follow(MINE if user else CallerKey(0, "support"))
    [card] = station.readers.cards()
    await card.access.info()
    first = await heard.next()
    assert first
    assert (first.type, first.data["reader"], first.user) == ("exchange", SLOT, user)
    station.trace.close()


# --- the other parts, and who uses the card


@pytest.mark.parametrize(
    ("token", "user", "available", "goes_with_it"),
    [
        (None, None, True, False),
        (None, None, False, True),
        (None, 1000, True, False),
        (None, 1000, False, False),  # its agent lends it: what came to an end is the agent's
        (Token(CardKind.PKCS11, SLOT), None, False, True),
        (Token(CardKind.PKCS11, SLOT), None, True, False),
        (Token(CardKind.PKCS11), None, False, False),  # in no reader
    ],
)
async def test_a_card_that_leaves_with_the_reader_service_is_told_as_such(
    station: Station, token: Token | None, user: int | None, available: bool, goes_with_it: bool
) -> None:
    station.reader(HSM, user)
    if token:
        station.readers.token_inserted(HSM, token)
    else:
        station.readers.card_inserted(HSM, CPS3)
    [card] = station.readers.cards()
    station.readers.readers_available(available)
    station.readers.card_removed(HSM)
    assert station.cards_heard.removed == [(card, "readers_gone" if goes_with_it else "card_removed")]
    with pytest.raises(PcscUnavailable if goes_with_it else CardRemoved):
        await card.access.info()


async def test_the_other_parts_hear_of_cards_and_of_no_tokens(station: Station) -> None:
    station.readers.readers_available(True)
    station.reader()
    station.reader(HSM)
    station.readers.token_inserted(HSM, Token(CardKind.PKCS11))
    assert station.cards_heard.inserted == []
    station.readers.card_inserted(SLOT, CPS3)
    assert [card.reader for card in station.cards_heard.inserted] == [SLOT]
    assert station.cards_heard.inserted[0] in station.readers.cards()


async def test_a_card_whose_reader_left_cannot_be_opened_and_the_reader_is_named(
    station: Station, simulated_card: SimulatedCard
) -> None:
    station.readers.readers_available(True)
    with pytest.raises(ReaderGone) as told:
        station.readers.open_card(SLOT, cast(Channel, None))
    assert told.value.params == {"reader": SLOT}


async def test_work_on_a_card_may_take_as_long_as_is_configured(
    station: Station, simulated_card: SimulatedCard
) -> None:
    station.readers.readers_available(True)
    reader = station.reader(card=simulated_card)
    [card] = station.readers.cards()
    await card.access.info()
    assert reader.timeouts == (7.0,)


async def test_who_may_present_no_code_is_told_so_of_the_card_that_is_in_the_reader(
    station: Station, simulated_card: SimulatedCard
) -> None:
    station.readers.readers_available(True)
    station.reader(card=simulated_card)
    [card] = station.readers.cards()
    card.access.ensure_presentable(MINE)
    station.refused.add(MINE)
    with pytest.raises(ReaderNotYours):
        card.access.ensure_presentable(MINE)
    assert station.presented == [card, card]
    station.readers.card_removed(SLOT)
    card.access.ensure_presentable(MINE)  # there is none any more: what it is asked fails
    assert station.presented == [card, card]


@pytest.mark.parametrize(("user", "asks"), [(None, True), (1000, False)])
async def test_whether_another_program_waits_is_looked_up_for_this_machines_readers_alone(
    station: Station, simulated_card: SimulatedCard, user: int | None, asks: bool
) -> None:
    station.readers.readers_available(True)
    station.reader(user=user, card=simulated_card)
    [card] = station.readers.cards()
    card.access.turns.turn, card.access.turns.free, card.access.turns.unseen = 0.0, 0.0, math.inf
    for _ in range(3):
        await card.access.use(lambda opened: opened.info)
    assert bool(station.asked) is asks


async def test_wrong_codes_at_a_users_own_readers_make_nobody_wait_at_this_machines(station: Station) -> None:
    station.readers.readers_available(True)
    for name, user in ((SLOT, None), (LENT, 1000)):
        station.reader(name, user)
        station.readers.card_inserted(name, CPS3)
    for card in range(6):  # of which five are free
        with pytest.raises(PinWrong), station.guard.of(1000).presenting(f"card {card}", MINE):
            raise PinWrong(tries_left=2)
    ours, lent = station.readers.cards()
    ours.access.ensure_presentable(OWNERS)
    with pytest.raises(PinBackOff):
        lent.access.ensure_presentable(MINE)


async def test_a_token_that_turns_out_to_be_another_one_sits_where_it_sat(
    station: Station, simulated_card: SimulatedCard
) -> None:
    station.readers.readers_available(True)
    station.readers.reader_added(InProcessReader(HSM, simulated_card, lambda _: Answering(CardMute())))
    station.readers.token_inserted(HSM, Token(CardKind.PKCS11, SLOT))
    [before] = station.readers.cards()
    await before.access.info()
    with pytest.raises(CardMute):
        await before.access.use(lambda card: card.verify(None))
    [card] = station.readers.cards()
    assert (card.id != before.id, card.kind, card.slot) == (True, CardKind.PKCS11, SLOT)


async def test_a_card_that_turns_out_to_be_another_one_has_left_and_come(
    station: Station, simulated_card: SimulatedCard
) -> None:
    station.readers.readers_available(True)
    station.reader(card=simulated_card)
    [before] = station.readers.cards()
    await before.access.info()
    await station.told(station.owners)

    def mute(_: object) -> None:
        raise CardMute

    with pytest.raises(CardMute):
        await before.access.use(mute)
    [card] = station.readers.cards()
    assert (card.id != before.id, card.reader, card.atr, card.kind) == (True, SLOT, before.atr, before.kind)
    assert station.cards_heard.removed == [(before, "card_removed")]
    assert [kind for kind, _ in await station.told(station.owners)] == ["card.removed", "card.inserted"]
    with pytest.raises(CardRemoved):
        await before.access.info()
    assert (await card.access.info()).kind is CardKind.CPS3
