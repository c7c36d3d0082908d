"""The readers and the cards in them, as the reader sources report them; every change becomes an event.

A card has an identifier of its own from its insertion to its removal, random, so that listing cards tells nothing of
their holders.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence
from functools import cached_property, partial

from cardd.config import Card as CardRules
from cardd.core.card_access import LINGER, CardAccess
from cardd.core.events import EventBus
from cardd.core.inserted_card import InsertedCard
from cardd.core.known_cards import KnownCards
from cardd.core.lifecycle import Lifecycle
from cardd.core.pin_guard import PinGuard
from cardd.core.trace import Trace, TracedChannel
from cardd.driver import Card, CardDriver, Channel, RememberingDriver
from cardd.errors import (
    CardAbsent,
    CardAmbiguous,
    CardRemoved,
    CardUnknown,
    CardUnrecognised,
    PcscUnavailable,
    ReaderGone,
)
from cardd.model import CallerKey, CardKind, Event
from cardd.ports import LeftReaders, LookingSource, Reader, ReaderSource, SourceSettings, Token
from cardd.values import Record

Admit = Callable[[CallerKey, InsertedCard], None]
Among = Callable[["ReaderState"], bool]

RANKS = 3
NO_TOKENS = SourceSettings()


class ReaderState(Record):
    """One reader slot and the card in it; ``user`` is the OS user whose alone it is, None for one of this machine's."""

    reader: Reader
    user: int | None = None
    card: InsertedCard | None = None


def all_of_them(_state: ReaderState) -> bool:
    """Return that this reader is meant too."""
    return True


class Readers:
    """Implements ``ports.ReaderListener`` for its ``sources``; the rest of the core asks it for cards.

    ``tokens`` are the settings of the sources that are found when the readers are watched; ``admit`` raises for a
    caller who may not present a code to a card.
    """

    def __init__(
        self,
        registry: DriverRegistry,
        events: EventBus,
        trace: Trace,
        lifecycle: Lifecycle,
        rules: CardRules,
        *,
        guard: PinGuard,
        admit: Admit = lambda _caller, _card: None,
        others: Callable[[], bool] = lambda: True,
        sources: Sequence[ReaderSource] = (),
        tokens: SourceSettings = NO_TOKENS,
    ) -> None:
        self._registry = registry
        self._events = events
        self._trace = trace
        self._lifecycle = lifecycle
        self._rules = rules
        self._guard = guard
        self._admit = admit
        self._others = others
        self._sources = sources
        self._tokens = tokens
        self._started: list[ReaderSource] = []
        self._readers: dict[str, ReaderState] = {}
        self.available = False

    async def watch(self) -> None:
        """Begin to watch the sources; those of tokens, which are slow to load, come last."""
        for source in (*self._sources, *token_sources(self._tokens)):
            await source.start(self)
            self._started.append(source)
            self._leave_readers()

    async def look(self) -> None:
        """Have a reader service that is not there looked for at once: a request is about its readers."""
        if not self.available:
            sources = [source for source in self._started if isinstance(source, LookingSource)]
            await asyncio.gather(*(source.look() for source in sources))

    async def stop(self) -> None:
        """Give every card back, de-authenticated, and release the readers."""
        await asyncio.gather(*(state.card.access.close() for state in self._readers.values() if state.card))
        while self._started:
            await self._started.pop().stop()

    # --- what the sources report ---

    def readers_available(self, available: bool) -> None:
        """Note that the reader service came or went."""
        self.available = available
        self._events.publish(Event("readers.available" if available else "readers.unavailable"))

    def reader_added(self, reader: Reader, user: int | None = None) -> None:
        """Note a new reader slot."""
        self._readers[reader.name] = ReaderState(reader, user)
        self._trace.readers_changed("reader.added", reader.name, user=user)
        self._events.publish(Event("reader.added", {"reader": reader.name}, user=user))

    def reader_removed(self, name: str) -> None:
        """Forget a reader slot, its card first."""
        if name in self._readers:
            self.card_removed(name)
            user = self._readers.pop(name).user
            self._trace.readers_changed("reader.removed", name, user=user)
            self._events.publish(Event("reader.removed", {"reader": name}, user=user))

    def card_inserted(self, name: str, atr: bytes) -> None:
        """Give the card an identifier and tell everyone; a token that stands for the same card gives way to it."""
        kind = self._registry.recognise(atr) if atr else CardKind.UNKNOWN
        card = self._insert(name, atr, kind)
        if card.is_served_natively:
            for token in self._tokens_in(name):
                self.card_removed(token.reader)
        self._leave_readers()
        self._lifecycle.card_inserted(card)

    def token_inserted(self, name: str, token: Token) -> None:
        """List a token, but for one whose card a driver of our own serves already: never both at once."""
        there = self._readers.get(token.slot)
        if there is None or there.card is None or not there.card.is_served_natively:
            self._insert(name, b"", token.kind, token.slot)

    def source_failed(self, source: str, why: str) -> None:
        """Tell everyone; whoever asked for something gets an error of its own."""
        self._events.publish(Event("module.failed", {"module": source, "why": why}))

    def open_card(self, name: str, channel: Channel) -> Card:
        """Open the card behind this channel with its driver. Raises ReaderGone, and what the driver raises."""
        state = self._readers.get(name)
        if state is None:
            raise ReaderGone(reader=name)
        traced = TracedChannel(name, channel, self._trace, state.user)
        return self._registry.open(traced, remembers=state.user is None)

    def read_anew(self) -> None:
        """Have every card read from its first byte on at its next use, for who records what it says."""
        self._registry.known.clear()
        for state in self._readers.values():
            if state.card:
                state.card.access.read_anew(self._registry.known.clear)

    def card_removed(self, name: str) -> None:
        """Rule 7: whoever depends on the card is told before anything else can happen on the loop."""
        state = self._readers.get(name)
        if state is None or state.card is None:
            return
        card, state.card = state.card, None
        is_ours = card.user is None and (bool(card.slot) or not card.is_token)
        is_service_gone = is_ours and not self.available
        card.access.lost(PcscUnavailable if is_service_gone else CardRemoved)
        self._lifecycle.card_removed(card, "readers_gone" if is_service_gone else "card_removed")
        self._trace.readers_changed("card.removed", name, user=card.user)
        self._events.publish(Event("card.removed", {"card": card.id, "reader": name}, user=card.user))
        if not card.is_token:
            self._leave_readers()

    # --- what the core asks ---

    # ``among`` tells which readers are meant: whoever may not know of one learns nothing of it

    def readers(self, among: Among = all_of_them) -> list[ReaderState]:
        """Every reader slot, by name. Raises PcscUnavailable when the reader service is down."""
        found = [self._readers[name] for name in sorted(self._readers) if among(self._readers[name])]
        if not self.available and not found:
            raise PcscUnavailable
        return found

    def cards(self, among: Among = all_of_them) -> list[InsertedCard]:
        """Every inserted card and token, by reader name; each once, also when a module knows a card that we do not.

        Raises PcscUnavailable as ``readers`` does.
        """
        found = [state.card for state in self.readers(among) if state.card]
        through_modules = {card.slot for card in found if card.slot}
        return [card for card in found if card.reader not in through_modules or card.is_served_natively]

    def card(self, identifier: str, among: Among = all_of_them) -> InsertedCard:
        """The card with this identifier. Raises CardUnknown."""
        for card in self.cards(among):
            if card.id == identifier:
                return card
        raise CardUnknown(card=identifier)

    def readable(self, identifier: str, among: Among = all_of_them) -> InsertedCard:
        """The card that is named, of which something can be read. Raises CardUnknown, or what keeps it from that."""
        card = self.card(identifier, among)
        if card.unreadable:
            raise card.unreadable
        return card

    def choose(self, identifier: str | None, among: Among = all_of_them) -> InsertedCard:
        """The card that is named, or the only one with which a session can be opened.

        Raises CardAmbiguous when several can; when none can, the error that tells the user why: a patient's card, one
        without contact, a mute one, or none at all; PcscUnavailable as ``readers`` does. An organisation's key file is
        chosen only where it is named.
        """
        if identifier is not None:
            return _usable(self.card(identifier, among))
        cards = self.cards(lambda state: among(state) and not _is_organisations(state))
        candidates = [card for card in cards if card.problem is None]
        served = [[card for card in candidates if _rank(card) == rank] for rank in range(RANKS)]
        match next(filter(None, served), []):
            case [card]:
                return card
            case []:
                return _usable(cards[0]) if cards else _absent()
            case several:
                raise CardAmbiguous(tuple(card.id for card in several))

    def _insert(self, name: str, atr: bytes, kind: CardKind, slot: str = "") -> InsertedCard:
        state = self._readers[name]
        access = CardAccess(
            state.reader,
            self._guard.of(state.user),
            hold=self._rules.hold,
            timeout=self._rules.timeout,
            linger=LINGER if atr else math.inf,  # nobody else waits for a token
            replaced=partial(self._card_replaced, name),
            admit=partial(self._admit_to, name),
            others=self._others if state.user is None else lambda: True,  # nobody sees who waits behind an agent
        )
        card = state.card = InsertedCard(secrets.token_hex(8), name, atr, kind, access, slot, state.user)
        self._trace.readers_changed("card.inserted", name, atr, user=card.user)
        told = {"card": card.id, "reader": name, "kind": kind.value}
        self._events.publish(Event("card.inserted", {**told}, user=card.user))
        return card

    def _card_replaced(self, name: str, access: CardAccess) -> None:
        """No sensor told, and yet the card went mute or is another one: rule 7 holds as if it had left."""
        state = self._readers.get(name)
        if state and (card := state.card) and card.access is access:
            self.card_removed(name)
            self._insert(name, card.atr, card.kind, card.slot)

    def _admit_to(self, name: str, caller: CallerKey) -> None:
        state = self._readers.get(name)
        if state and state.card:
            self._admit(caller, state.card)

    def _leave_readers(self) -> None:
        """Tell the sources of tokens which cards are left to them: a native driver's is never touched by a module."""
        cards = [state.card for state in self._readers.values() if state.card]
        left = frozenset(card.reader for card in cards if card.is_left)
        for source in self._started:
            if isinstance(source, LeftReaders):
                source.readers_left(left)

    def _tokens_in(self, slot: str) -> list[InsertedCard]:
        return [state.card for state in self._readers.values() if state.card and state.card.slot == slot]


def _is_organisations(state: ReaderState) -> bool:
    """Return whether this is a key file: always there, and nobody's card."""
    return state.card is not None and state.card.kind is CardKind.PKCS12


def _rank(card: InsertedCard) -> int:
    """A card that a driver of our own serves comes before a module's token, and that before one that nobody knows."""
    match card.kind:
        case CardKind.UNKNOWN:
            return 2
        case CardKind.PKCS11:
            return 1
        case _:
            return 0


def _absent() -> InsertedCard:
    raise CardAbsent


def _usable(card: InsertedCard) -> InsertedCard:
    if card.problem:
        raise card.problem
    return card


GROUP = "cardd.drivers"
SOURCES = "cardd.sources"


def token_sources(settings: SourceSettings) -> tuple[ReaderSource, ...]:
    """Return what the entry points ``cardd.sources`` make of these settings; nothing is loaded where there are none."""
    if not settings.modules and not settings.organisation:
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and needed only where tokens are configured

    found = sorted(entry_points(group=SOURCES), key=lambda entry: entry.name)
    return tuple(source for entry in found if (source := entry.load()(settings)) is not None)


class DriverRegistry:
    """Every driver of the entry points ``cardd.drivers``, loaded when the first card needs one, or the given ones."""

    def __init__(self, drivers: Sequence[CardDriver] | None = None) -> None:
        self._given = drivers
        self.known = KnownCards()

    @cached_property
    def drivers(self) -> tuple[CardDriver, ...]:
        """The drivers, in the order of their entry points' names."""
        if self._given is not None:
            return tuple(self._given)
        from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and not needed before the first card

        found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
        return tuple(entry.load()() for entry in found)

    def recognise(self, atr: bytes) -> CardKind:
        """The kind that some driver sees in the ATR; UNKNOWN when none does."""
        return self._by_atr(atr)[1]

    def open(self, channel: Channel, *, remembers: bool = True) -> Card:
        """Open the card with its driver. Raises CardUnrecognised, or what the driver raises.

        Without ``remembers`` it is read whole and nothing is kept of it: an agent may lie about a card that is real.
        """
        driver, kind = self._by_atr(channel.atr)
        if driver is None:
            driver, kind = self._by_application(channel)
        if remembers and isinstance(driver, RememberingDriver):
            return driver.open_known(channel, kind, self.known.of(driver.name, channel.atr))
        return driver.open(channel, kind)

    def _by_atr(self, atr: bytes) -> tuple[CardDriver | None, CardKind]:
        for driver in self.drivers:
            kind = driver.recognise(atr)
            if kind is not None:
                return driver, kind
        return None, CardKind.UNKNOWN

    def _by_application(self, channel: Channel) -> tuple[CardDriver, CardKind]:
        for driver in self.drivers:
            kind = driver.probe(channel)
            if kind is not None:
                return driver, kind
        raise CardUnrecognised(atr=channel.atr.hex(" ").upper())
