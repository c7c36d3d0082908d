"""What a hostile card can do to a login and to a session: no signature but the right one is handed to anybody."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from cardd.core.consents import SignatureRequest
from cardd.core.session import Session
from cardd.errors import (
    CardError,
    CardGarbled,
    CardMute,
    CardRefused,
    CardUnrecognised,
    HolderUnknown,
    PinRequired,
    SignatureInvalid,
)
from cardd.model import Message, Outcome
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, Core
from tests.hostile.cards import (
    AUTHENTICATE,
    AUTHENTICATION,
    GENERATIONS,
    MORE,
    OK,
    SIGN,
    SIGNATURE,
    Exchange,
    HostileCard,
    Malice,
)
from tests.hostile.certificates import NOT_READ, NOT_VERIFIED
from tests.hostile.malices import CASES, Case
from tests.rig.simulator import PIN, issue

REQUEST = SignatureRequest(None, Message(hashlib.sha256(b"SIMULATION").digest()), "ordonnance.pdf")
SIGNATURE_SIZE = 256


@asynccontextmanager
async def core_with(card: HostileCard) -> AsyncIterator[Core]:
    """The core with this card, and a person who knows its PIN."""
    core = Core(InProcessReader("Lecteur de test", card), card.honest)
    core.person.pins = [PIN.decode()]
    await core.start()
    try:
        yield core
    finally:
        await core.stop()


async def logged_in(core: Core) -> Session:
    return (await core.login.open(CALLER, None))[0]


async def refuses_to_sign(core: Core, session: Session) -> list[CardError]:
    """The errors of a signature and of an authentication, both recorded as failed."""
    errors = []
    for attempt in (
        lambda: core.signing.sign(session, [REQUEST], None),
        lambda: core.signing.authenticate(session, "n"),
    ):
        with pytest.raises(CardError) as failed:
            await attempt()
        assert core.audit.entries[-1].outcome is Outcome.FAILED
        errors.append(failed.value)
    return errors


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_card_that_cannot_be_read_opens_no_session_and_gets_no_pin(case: Case) -> None:
    async with core_with(HostileCard(case.malice)) as core:
        with pytest.raises(CardError):
            await logged_in(core)
        assert case.late or not core.person.pin_questions
        assert core.sessions.of(CALLER.peer.uid) == []
        assert core.audit.entries[-1].outcome is Outcome.REFUSED


@pytest.mark.parametrize("atr", ["", "3B", "3BFF", "FF" * 33, "3B" * 400])
async def test_an_answer_to_reset_that_is_none_opens_no_session(atr: str) -> None:
    card = HostileCard(Malice(answer=lambda: lambda _: b"\x6d\x00", atr=bytes.fromhex(atr)))
    async with core_with(card) as core:
        with pytest.raises((CardMute, CardUnrecognised)):
            await logged_in(core)
    assert card.commands <= 4


@pytest.mark.parametrize("certificate", NOT_READ.values(), ids=NOT_READ)
async def test_a_certificate_that_speaks_for_nobody_opens_no_session(certificate: bytes) -> None:
    card = HostileCard(Malice({AUTHENTICATION: certificate}))
    async with core_with(card) as core:
        with pytest.raises((CardGarbled, CardRefused, HolderUnknown)):
            await logged_in(core)
        assert core.sessions.of(CALLER.peer.uid) == []
    assert card.harms


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("certificate", NOT_VERIFIED.values(), ids=NOT_VERIFIED)
async def test_what_no_certificate_verifies_is_handed_to_nobody(certificate: bytes, generation: str) -> None:
    malice = Malice({AUTHENTICATION: certificate, SIGNATURE: certificate})
    async with core_with(HostileCard(malice, GENERATIONS[generation]())) as core:
        errors = await refuses_to_sign(core, await logged_in(core))
    assert all(isinstance(error, SignatureInvalid | CardGarbled) for error in errors)


def signing(change: Callable[[bytes], bytes]) -> Malice:
    """Other bytes in place of each signature."""

    def answer(exchange: Exchange) -> bytes | None:
        is_signature = exchange.instruction in (SIGN, AUTHENTICATE, MORE) and len(exchange.told) == SIGNATURE_SIZE + 2
        return change(exchange.told[:-2]) + OK if is_signature else None

    return Malice(answer=lambda: answer)


def by_another_key(_: bytes) -> bytes:
    return issue("infirmier").signature.key.sign(b"SIMULATION", PKCS1v15(), SHA256())


def of_something_else(_: bytes) -> bytes:
    return issue().signature.key.sign(b"autre chose", PKCS1v15(), SHA256())


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\x00" * 256,
        lambda _: b"\xff" * 256,
        lambda _: PIN,
        lambda right: right[:-1],
        lambda right: right[1:],
        lambda right: right[:-1] + bytes((right[-1] ^ 1,)),
        lambda right: right[::-1],
        lambda right: right + b"\x00",
        lambda right: right * 200,
        by_another_key,
        of_something_else,
    ],
    ids=[
        "nothing",
        "zeros",
        "FF",
        "the PIN",
        "a byte too few behind",
        "a byte too few before",
        "one bit turned",
        "backwards",
        "a byte too many",
        "200 times over",
        "by another key",
        "of something else",
    ],
)
async def test_a_signature_that_is_none_is_handed_to_nobody(change: Callable[[bytes], bytes], generation: str) -> None:
    card = HostileCard(signing(change), GENERATIONS[generation]())
    async with core_with(card) as core:
        errors = await refuses_to_sign(core, await logged_in(core))
    assert all(isinstance(error, SignatureInvalid | CardGarbled) for error in errors)
    assert card.harms >= 2


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("answer", "error", "commands"),
    [
        ("9000", SignatureInvalid, 80),
        ("6982", PinRequired, 20),
        ("6F00", CardRefused, 20),
        ("6A88", CardError, 40),
        ("6C10", CardRefused, 20),
        ("FFFF", CardRefused, 20),
        ("306101", (CardGarbled, CardRefused), 200),
    ],
)
async def test_a_key_that_answers_anything_but_a_signature_ends_in_an_error(
    generation: str, answer: str, error: type[CardError] | tuple[type[CardError], ...], commands: int
) -> None:
    told = bytes.fromhex(answer)
    instructions = (SIGN, AUTHENTICATE) if answer != "306101" else (SIGN, AUTHENTICATE, MORE)
    disturbed = False

    def answered(exchange: Exchange) -> bytes | None:
        return told if disturbed and exchange.instruction in instructions else None

    card = HostileCard(Malice(answer=lambda: answered), GENERATIONS[generation]())
    async with core_with(card) as core:
        session = await logged_in(core)
        disturbed, before = True, card.commands
        errors = await refuses_to_sign(core, session)
    assert all(isinstance(one, error) for one in errors)
    assert card.commands - before <= commands
