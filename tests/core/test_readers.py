"""One card, several ways to it: which of them cardd takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from cardd.apdu import Command, Protocol, Response
from cardd.assembly import assemble
from cardd.config import Card as CardRules
from cardd.config import Config
from cardd.core.readers import DriverRegistry, Readers, ReaderState, token_sources
from cardd.driver import Card, Channel
from cardd.errors import CardAbsent, CardAmbiguous, CardIsVitale, CardUnknown, CardUnrecognised, PcscUnavailable
from cardd.model import CardKind, KeyPurpose
from cardd.ports import ReaderListener, ReaderSource, SourceSettings, Token
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.at_card import Token as Answering
from tests.rig.outside import Around

CPS3_ATR = bytes.fromhex("3BAC00402A001225006480000310009000")
VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
STRANGE_ATR = bytes.fromhex("3B00")
SLOT, MODULE = "Lecteur A 00 00", "opensc: Lecteur A 00 00"


@pytest.fixture
async def readers() -> Readers:
    return made()


def made(*sources: ReaderSource) -> Readers:
    outside = Around().made(*sources)
    readers = assemble(Config(card=CardRules(hold=0, timeout=1)), outside).readers.every
    readers.readers_available(True)
    for name in (SLOT, MODULE, "hsm: token"):
        readers.reader_added(InProcessReader(name))
    return readers


def shown(readers: Readers) -> list[tuple[str, CardKind]]:
    return [(card.reader, card.kind) for card in readers.cards()]


async def test_a_card_known_natively_is_not_also_used_through_a_module(readers: Readers) -> None:
    readers.card_inserted(SLOT, CPS3_ATR)
    readers.token_inserted(MODULE, Token(CardKind.PKCS11, SLOT))
    assert shown(readers) == [(SLOT, CardKind.CPS3)]


async def test_a_module_that_was_faster_gives_the_card_back(readers: Readers) -> None:
    readers.token_inserted(MODULE, Token(CardKind.PKCS11, SLOT))
    [token] = readers.cards()
    readers.card_inserted(SLOT, CPS3_ATR)
    assert shown(readers) == [(SLOT, CardKind.CPS3)]
    with pytest.raises(CardUnknown):
        readers.card(token.id)


async def test_a_card_that_only_the_module_knows_is_shown_once(readers: Readers) -> None:
    readers.card_inserted(SLOT, STRANGE_ATR)
    readers.token_inserted(MODULE, Token(CardKind.PKCS11, SLOT))
    assert shown(readers) == [(MODULE, CardKind.PKCS11)]
    readers.card_removed(MODULE)
    assert shown(readers) == [(SLOT, CardKind.UNKNOWN)]


async def test_a_token_in_no_reader_stands_beside_the_cards(readers: Readers) -> None:
    readers.card_inserted(SLOT, CPS3_ATR)
    readers.token_inserted("hsm: token", Token(CardKind.PKCS11))
    assert shown(readers) == [(SLOT, CardKind.CPS3), ("hsm: token", CardKind.PKCS11)]


async def test_a_token_without_answer_to_reset_is_not_mute(readers: Readers) -> None:
    readers.token_inserted("hsm: token", Token(CardKind.PKCS11))
    [token] = readers.cards()
    assert (token.is_mute, token.atr) == (False, b"")
    assert readers.choose(None) is token


async def test_who_asks_for_readers_or_cards_gets_those_alone_of_which_they_may_know(readers: Readers) -> None:
    readers.card_inserted(SLOT, CPS3_ATR)
    readers.token_inserted("hsm: token", Token(CardKind.PKCS11))
    card, token = readers.cards()
    assert [state.reader.name for state in readers.readers()] == [SLOT, "hsm: token", MODULE]
    assert [state.card for state in readers.readers(only("hsm: token"))] == [token]
    assert readers.cards(only(SLOT)) == [card]
    for look in (readers.card, readers.readable, readers.choose):
        assert look(token.id, only("hsm: token")) is token
        with pytest.raises(CardUnknown) as told:
            look(card.id, only("hsm: token"))
        assert told.value.params == {"card": card.id}
    assert readers.choose(None, only("hsm: token")) is token


async def test_without_the_reader_service_who_has_a_reader_elsewhere_is_told_of_that(readers: Readers) -> None:
    readers.readers_available(False)
    assert len(readers.readers(only(MODULE))) == 1
    with pytest.raises(PcscUnavailable):
        readers.readers(only("none"))
    readers.readers_available(True)
    assert readers.readers(only("none")) == []


def only(name: str) -> Callable[[ReaderState], bool]:
    return lambda state: state.reader.name == name


async def test_a_patients_card_is_neither_read_nor_opens_a_session(readers: Readers) -> None:
    readers.card_inserted(SLOT, VITALE_ATR)
    [card] = readers.cards()
    for look in (readers.readable, readers.choose):
        with pytest.raises(CardIsVitale):
            look(card.id)
    with pytest.raises(CardIsVitale):
        readers.choose(None)


async def test_a_card_that_a_driver_serves_comes_before_a_token_and_that_before_one_that_nobody_knows(
    readers: Readers,
) -> None:
    readers.card_inserted(SLOT, STRANGE_ATR)
    assert readers.choose(None).kind is CardKind.UNKNOWN
    readers.card_inserted(MODULE, STRANGE_ATR)
    with pytest.raises(CardAmbiguous):
        readers.choose(None)
    readers.card_removed(MODULE)
    readers.token_inserted("hsm: token", Token(CardKind.PKCS11))
    assert readers.choose(None).kind is CardKind.PKCS11
    readers.reader_added(InProcessReader("Lecteur B"))
    readers.card_inserted("Lecteur B", CPS3_ATR)
    assert readers.choose(None).kind is CardKind.CPS3
    readers.card_inserted(SLOT, CPS3_ATR)
    with pytest.raises(CardAmbiguous) as told:
        readers.choose(None)
    assert set(told.value.cards) == {card.id for card in readers.cards() if card.kind is not CardKind.PKCS11}


async def test_an_organisations_key_file_stands_for_no_persons_card(readers: Readers) -> None:
    readers.reader_added(InProcessReader("A file"))
    readers.token_inserted("A file", Token(CardKind.PKCS12))
    [file] = readers.cards()
    with pytest.raises(CardAbsent):
        readers.choose(None)
    readers.card_inserted(SLOT, VITALE_ATR)
    with pytest.raises(CardIsVitale):
        readers.choose(None)
    readers.card_inserted(SLOT, CPS3_ATR)
    assert readers.choose(None).kind is CardKind.CPS3
    assert readers.choose(file.id) is file
    for name in (SLOT, MODULE, "hsm: token"):
        readers.reader_removed(name)
    readers.readers_available(False)
    with pytest.raises(PcscUnavailable):
        readers.choose(None)


class Source:
    """A source of nothing, of which others are told when it starts, looks and stops."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told

    async def start(self, _: ReaderListener) -> None:
        self.told.append(f"{self.name} starts")

    async def look(self) -> None:
        self.told.append(f"{self.name} looks")

    async def stop(self) -> None:
        self.told.append(f"{self.name} stops")


async def test_sources_are_watched_in_order_looked_at_while_pcscd_is_absent_and_stopped_backwards() -> None:
    told: list[str] = []
    readers = made(Source("pcsc", told), Modules(), Source("agents", told))
    await readers.look()
    assert told == []
    await readers.watch()
    await readers.look()
    assert told == ["pcsc starts", "agents starts"]
    readers.readers_available(False)
    await readers.look()
    assert told[2:] == ["pcsc looks", "agents looks"]
    await readers.stop()
    assert told[4:] == ["agents stops", "pcsc stops"]
    await readers.stop()
    assert len(told) == 6


async def test_nothing_is_there_before_a_source_says_so() -> None:
    readers = assemble(Config(), Around().made()).readers.every
    assert not readers.available
    with pytest.raises(PcscUnavailable):
        readers.cards()


@pytest.mark.parametrize(
    ("settings", "sources"),
    [
        (SourceSettings(), []),
        (SourceSettings(modules=("/module.so",)), ["Pkcs11Source"]),
        (SourceSettings(organisation={KeyPurpose.SIGNATURE: Path("SIMULATION.p12")}), ["FilesSource"]),
        (
            SourceSettings(modules=("/module.so",), organisation={KeyPurpose.SIGNATURE: Path("SIMULATION.p12")}),
            ["Pkcs11Source", "FilesSource"],
        ),
    ],
)
def test_tokens_have_the_sources_for_which_something_is_configured(
    settings: SourceSettings, sources: list[str]
) -> None:
    assert [type(source).__name__ for source in token_sources(settings)] == sources


def test_the_drivers_are_those_that_are_installed_unless_others_are_given() -> None:
    assert [driver.name for driver in DriverRegistry().drivers] == ["cps3", "cps4", "vitale"]
    assert DriverRegistry([]).drivers == ()
    assert DriverRegistry([]).recognise(CPS3_ATR) is CardKind.UNKNOWN
    assert DriverRegistry().recognise(CPS3_ATR) is CardKind.CPS3


class NoApplication:
    """A channel to a card that has no application, whatever is selected."""

    atr, protocol, epoch, has_pinpad = b"\x3b\xab", Protocol.T1, 0, False

    def transmit(self, _: Command) -> Response:
        return Response(b"", 0x6A82)


def test_a_card_in_which_no_driver_finds_its_application_is_told_with_its_answer_to_reset() -> None:
    with pytest.raises(CardUnrecognised) as told:
        DriverRegistry().open(cast(Channel, NoApplication()))
    assert told.value.params == {"atr": "3B AB"}


class Probing:
    """A driver that knows no answer to reset, and finds its application; ``opened`` are the cards that it was given."""

    name = "probing"

    def __init__(self) -> None:
        self.opened: list[tuple[object, CardKind]] = []

    def recognise(self, _: bytes) -> None:
        return None

    def probe(self, channel: Channel) -> CardKind | None:
        return CardKind.CPS4 if channel.atr == NoApplication.atr else None

    def open(self, channel: Channel, kind: CardKind) -> Card:
        self.opened.append((channel, kind))
        return Answering()


def test_a_card_is_opened_by_the_driver_that_finds_its_application_in_it() -> None:
    driver, channel = Probing(), cast(Channel, NoApplication())
    DriverRegistry([Cps3Driver(), driver]).open(channel)
    assert driver.opened == [(channel, CardKind.CPS4)]


class Modules:
    """A source of tokens, as far as it is told of PC/SC readers."""

    def __init__(self) -> None:
        self.left: list[frozenset[str]] = []

    async def start(self, _: ReaderListener) -> None: ...

    async def stop(self) -> None: ...

    def readers_left(self, readers: frozenset[str]) -> None:
        self.left.append(readers)


async def test_modules_are_left_the_cards_that_no_driver_serves_and_no_patients() -> None:
    modules = Modules()
    readers = made(modules)
    await readers.watch()
    for atr, left in ((CPS3_ATR, []), (STRANGE_ATR, [SLOT]), (b"", [SLOT]), (VITALE_ATR, [])):
        readers.card_inserted(SLOT, atr)
        assert modules.left[-1] == frozenset(left), atr.hex()
        readers.card_removed(SLOT)
        assert modules.left[-1] == frozenset()
    readers.token_inserted("hsm: token", Token(CardKind.PKCS11))
    assert modules.left[-1] == frozenset()
