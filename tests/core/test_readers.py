"""One card, several ways to it: which of them cardd takes."""

from __future__ import annotations

import pytest

from cardd.assembly import assemble
from cardd.config import Card, Config
from cardd.core.readers import Readers
from cardd.errors import CardUnknown
from cardd.model import CardKind
from cardd.ports import ReaderListener, ReaderSource, Token
from cardd_simulators.cards.inprocess import InProcessReader
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
    readers = assemble(Config(card=Card(hold=0, timeout=1)), outside).readers.every
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
    assert not token.is_mute
    assert readers.choose(None) is token


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
