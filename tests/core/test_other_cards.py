"""Sessions with the cards beside the CPS3: what a CPS4 signs, and which card opens none."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.core.consents import SignatureRequest
from cardd.core.readers import Readers
from cardd.errors import (
    AlgorithmUnsupported,
    CardAmbiguous,
    CardContactless,
    CarddError,
    CardError,
    CardIsVitale,
    CardUnsupported,
)
from cardd.model import Algorithm, CardKind, KeyPurpose, Message, Outcome
from cardd_simulators.cards.card import SimulatedContactless
from cardd_simulators.cards.cps4 import SimulatedCps4
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.openssl import verifies
from tests.rig.simulator import issue

DOCUMENT = b"Compte rendu SIMULATION"
ATRS = {
    CardKind.CPS3: "3BAC00402A001225006480000310009000",
    CardKind.CPS4: "3B9B188001001225006480040100009044",
    CardKind.CPS3_CONTACTLESS: "3B8F80010031B86404B0ECC1739401808290000E",
    CardKind.CPS2TER: "3BAC00402A001225006480820212009000",
    CardKind.VITALE: "3B751300004309EA9000",
}
REFUSALS: dict[CardKind, type[CardError]] = {
    CardKind.CPS3_CONTACTLESS: CardContactless,
    CardKind.CPS2TER: CardUnsupported,
    CardKind.VITALE: CardIsVitale,
}


@pytest_asyncio.fixture
async def with_cps4() -> AsyncIterator[Core]:
    card = SimulatedCps4(issue("medecin", len(PIN), "cps4"), pin=PIN.encode())
    core = Core(InProcessReader("Lecteur de test", card), card)
    await core.start()
    yield core
    await core.stop()


@pytest_asyncio.fixture
async def without_contact() -> AsyncIterator[Core]:
    card = SimulatedContactless(issue())
    core = Core(InProcessReader("Lecteur de test", card), card)
    await core.start()
    yield core
    await core.stop()


def request(algorithm: Algorithm) -> SignatureRequest:
    return SignatureRequest(algorithm, Message(hashlib.sha256(DOCUMENT).digest(), DOCUMENT), "compte-rendu.pdf")


async def test_a_session_with_a_cps4_signs_in_both_paddings(with_cps4: Core, tmp_path: Path) -> None:
    with_cps4.person.pins = [PIN]
    session, _ = await with_cps4.login.open(CALLER, None)
    assert (session.identity.card_type_name, session.identity.is_test) == ("CPS", True)
    algorithms = [Algorithm.RS256, Algorithm.PS256]
    signed = await with_cps4.signing.sign(session, [request(algorithm) for algorithm in algorithms], None)
    assert [one.algorithm for one in signed] == algorithms
    for one in signed:
        pss = one.algorithm is Algorithm.PS256
        assert verifies(tmp_path, one.certificate, one.signature, DOCUMENT, pss=pss)


async def test_a_signature_with_a_held_pin_costs_4_apdus(with_cps4: Core) -> None:
    with_cps4.person.pins = [PIN]
    session, _ = await with_cps4.login.open(CALLER, None)
    assert session.card
    await session.card.access.logout(session.id)  # ends the transaction that the login left open
    before = with_cps4.card.count
    await with_cps4.signing.sign(session, [request(Algorithm.PS256)], None)
    assert with_cps4.card.count - before == 4


async def test_a_cps4_authenticates(with_cps4: Core, tmp_path: Path) -> None:
    with_cps4.person.pins = [PIN]
    session, _ = await with_cps4.login.open(CALLER, None)
    token = await with_cps4.signing.authenticate(session, "n" * 44)
    value = hashlib.sha256(CALLER.origin.encode()).digest() + hashlib.sha256(b"n" * 44).digest()
    assert verifies(tmp_path, token.certificate, token.signature, value)


async def test_a_cps3_signs_no_pss(core: Core) -> None:
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    with pytest.raises(AlgorithmUnsupported):
        await core.signing.sign(session, [request(Algorithm.PS256)], None)


async def test_a_card_read_without_contact_opens_no_session_and_asks_for_no_pin(without_contact: Core) -> None:
    with pytest.raises(CardContactless):
        await without_contact.login.open(CALLER, None)
    assert without_contact.person.questions == []
    assert without_contact.card.count == 0
    [entry] = without_contact.audit.entries
    assert (entry.outcome, entry.code) == (Outcome.REFUSED, "card.contactless")


async def test_a_card_read_without_contact_tells_which_it_is(without_contact: Core) -> None:
    [inserted] = without_contact.readers.cards()
    card = without_contact.readers.readable(inserted.id)
    info = await card.access.info()
    assert (info.serial, info.pin, [key.purpose for key in info.keys]) == (
        issue().serial,
        None,
        [KeyPurpose.TECHNICAL],
    )
    assert len(await card.access.certificates()) == 1


@pytest.fixture
def readers(core: Core) -> Readers:
    """Two more readers, empty, beside the one that a test fills or empties."""
    core.readers.card_removed("Lecteur de test")
    for name in ("B", "C"):
        core.readers.reader_added(InProcessReader(name))
    return core.readers


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("professional", [CardKind.CPS3, CardKind.CPS4])
async def test_a_card_that_opens_no_session_does_not_make_the_choice_ambiguous(
    kind: CardKind, professional: CardKind, readers: Readers
) -> None:
    readers.card_inserted("B", bytes.fromhex(ATRS[kind]))
    readers.card_inserted("C", bytes.fromhex(ATRS[professional]))
    assert readers.choose(None).kind is professional


@pytest.mark.parametrize(("kind", "refusal"), REFUSALS.items())
async def test_such_a_card_is_refused_with_the_reason_named_or_alone(
    kind: CardKind, refusal: type[CarddError], readers: Readers
) -> None:
    readers.card_inserted("B", bytes.fromhex(ATRS[kind]))
    [card] = readers.cards()
    for identifier in (None, card.id):
        with pytest.raises(refusal):
            readers.choose(identifier)


async def test_two_generations_at_once_are_to_be_chosen_from(readers: Readers) -> None:
    readers.card_inserted("B", bytes.fromhex(ATRS[CardKind.CPS3]))
    readers.card_inserted("C", bytes.fromhex(ATRS[CardKind.CPS4]))
    with pytest.raises(CardAmbiguous):
        readers.choose(None)


@pytest.mark.parametrize("kind", [CardKind.CPS2TER, CardKind.VITALE])
async def test_nothing_is_read_from_a_card_that_is_not_ours(kind: CardKind, readers: Readers) -> None:
    readers.card_inserted("B", bytes.fromhex(ATRS[kind]))
    [card] = readers.cards()
    with pytest.raises(REFUSALS[kind]):
        readers.readable(card.id)
