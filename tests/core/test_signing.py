"""Rules 2 and 8: nothing is signed without consent, nothing leaves without its audit row."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from cardd.core.consents import Batch, SignatureRequest
from cardd.core.session import Session
from cardd.core.signing import Signed
from cardd.errors import (
    AuditUnavailable,
    BatchExhausted,
    CardRemoved,
    ConsentRefused,
    InvalidRequest,
    LastTryRefused,
    PinCancelled,
    PinWrong,
    RefusedTooOften,
    SessionClosed,
    SessionExpired,
)
from cardd.model import Algorithm, Choice, Message, Outcome
from cardd_simulators.cards.behaviour import behaving
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from cardd_simulators.cards.store import Issued
from tests.core.conftest import CALLER, PIN, Core, make_turns_short
from tests.rig.waiting import eventually

PERFORM_SECURITY_OPERATION = 0x2A
DOCUMENT = b"Compte rendu SIMULATION"


def request(document: bytes = DOCUMENT, name: str = "compte-rendu.pdf") -> SignatureRequest:
    return SignatureRequest(Algorithm.RS256, Message(hashlib.sha256(document).digest(), document), name)


def holds(signed: Signed, document: bytes) -> bool:
    key = load_der_x509_certificate(signed.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(signed.signature, document, PKCS1v15(), SHA256())
    return True


@pytest_asyncio.fixture
async def session(core: Core) -> Session:
    core.person.pins = [PIN]
    return (await core.login.open(CALLER, None))[0]


async def test_a_signature_follows_a_consent_that_shows_who_and_what(core: Core, session: Session) -> None:
    [signed] = await core.signing.sign(session, [request()], None)
    assert holds(signed, DOCUMENT)
    [question] = core.person.questions
    assert question.topic == "sign"
    assert question.params["client"] == "LPS de test"
    assert question.params["document"] == "compte-rendu.pdf"


async def test_a_no_means_that_the_card_is_not_asked(core: Core, session: Session) -> None:
    core.person.choice = Choice.NO
    before = core.card.count
    with pytest.raises(ConsentRefused):
        await core.signing.sign(session, [request()], None)
    assert core.card.count == before
    assert core.audit.entries[-1].outcome is Outcome.REFUSED


async def test_a_list_has_one_consent_and_two_apdus_for_each_further_signature(core: Core, session: Session) -> None:
    before = core.card.count
    documents = [bytes([n]) for n in range(10)]
    signed = await core.signing.sign(session, [request(document) for document in documents], None)
    assert all(holds(one, document) for one, document in zip(signed, documents, strict=True))
    assert core.card.count - before <= 1 + 2 * 10  # MSE once; the login's VERIFY still holds
    assert core.person.topics() == ["sign_batch"]
    assert core.audit.acts().count("signature.raw done") == 10


async def test_a_named_batch_has_one_consent_over_several_requests(core: Core, session: Session) -> None:
    batch = Batch("Ordonnances du jour", 3)
    for _ in range(3):
        await core.signing.sign(session, [request()], batch)
    assert [question.topic for question in core.person.questions] == ["sign_batch"]
    with pytest.raises(BatchExhausted):
        await core.signing.sign(session, [request()], batch)


async def test_a_batchs_consent_ends_with_its_lifetime(core: Core, session: Session) -> None:
    batch = Batch("Ordonnances du jour", 3)
    await core.signing.sign(session, [request()], batch)
    core.clock.seconds += 601
    await core.signing.sign(session, [request()], batch)
    assert len(core.person.questions) == 2


async def test_without_an_audit_row_no_signature_leaves(core: Core, session: Session) -> None:
    core.audit.is_full = True
    with pytest.raises(AuditUnavailable):
        await core.signing.sign(session, [request()], None)


async def test_each_signature_is_a_row_with_who_what_and_which_certificate(core: Core, session: Session) -> None:
    await core.signing.sign(session, [request()], None)
    row = core.audit.entries[-1]
    assert (row.action, row.outcome, row.caller, row.uid) == ("signature.raw", Outcome.DONE, "lps-1", 1000)
    assert row.digest == hashlib.sha256(DOCUMENT).hexdigest()
    assert row.document == "compte-rendu.pdf"
    assert row.consent == "dialog"
    assert row.certificate


async def test_a_card_pulled_in_the_middle_leaves_a_failed_row_and_no_signature(core: Core, session: Session) -> None:
    core.reader.remove_during(0x2A)
    with pytest.raises(CardRemoved):
        await core.signing.sign(session, [request(), request()], None)
    assert {(row.outcome, row.code) for row in core.audit.entries[-2:]} == {(Outcome.FAILED, "card.removed")}
    await eventually(lambda: not core.sessions.is_open(session))


async def test_a_failed_batch_gives_its_count_back(core: Core, session: Session) -> None:
    batch = Batch("lot", 2)
    await core.signing.sign(session, [request()], batch)
    assert session.pin
    session.pin.fill(memoryview(b"0000"))
    await core.readers.cards()[0].access.logout(session.id)
    with pytest.raises(PinWrong):
        await core.signing.sign(session, [request()], batch)
    consent = core.parts.consents.take(session, [request()], batch)
    assert consent
    assert consent.how == "batch:lot"


async def test_a_refused_batch_grants_nothing_to_the_one_that_was_agreed_to(core: Core, session: Session) -> None:
    core.sessions.lock(session)
    told = core.events.subscribe(CALLER.key)
    core.person.attentive.clear()
    accepted = asyncio.ensure_future(core.signing.sign(session, [request()], Batch("X", 1)))
    refused = asyncio.ensure_future(core.signing.sign(session, [request()] * 50, Batch("X", 50)))
    assert [event.type for event in (await told.next(), await told.next()) if event] == [
        "prompt.opened",
        "prompt.waiting",
    ]
    core.person.pins = [PIN]
    core.person.attentive.set()
    assert len(await accepted) == 1
    with pytest.raises(PinCancelled):
        await refused
    with pytest.raises(BatchExhausted):
        await core.signing.sign(session, [request(name="jamais-vu.pdf")], Batch("X", 50))


async def test_a_consent_is_given_back_once(core: Core, session: Session) -> None:
    batch = Batch("lot", 2)
    await core.signing.sign(session, [request()], batch)
    consent = core.parts.consents.take(session, [request()], batch)
    assert consent
    consent.give_back()
    consent.give_back()
    with pytest.raises(BatchExhausted):
        core.parts.consents.take(session, [request()] * 2, batch)


@pytest.mark.parametrize(("count", "batch"), [(1, Batch("trop", 51)), (51, None), (2, Batch("un", 1))], ids=str)
async def test_more_than_policy_or_the_batch_allows_is_refused_unasked(
    core: Core, session: Session, count: int, batch: Batch | None
) -> None:
    with pytest.raises(InvalidRequest):
        await core.signing.sign(session, [request()] * count, batch)
    assert core.person.questions == []


async def test_the_two_keys_have_certificates_of_their_own(core: Core, session: Session) -> None:
    [signed] = await core.signing.sign(session, [request()], None)
    assert signed.certificate != (await core.signing.authenticate(session, "n" * 44)).certificate


async def test_a_pin_changed_behind_our_back_locks_the_session_after_one_try(core: Core, session: Session) -> None:
    assert session.pin
    session.pin.fill(memoryview(b"0000"))
    await core.readers.cards()[0].access.logout(session.id)
    with pytest.raises(PinWrong):
        await core.signing.sign(session, [request()], None)
    assert session.pin is None
    assert session.state == "locked"


async def test_a_pin_changed_behind_our_back_costs_one_try_for_all_sessions_of_the_card(
    core: Core, session: Session
) -> None:
    core.person.pins = [PIN] * 4
    sessions = [session, *[(await core.login.open(CALLER, None))[0] for _ in range(4)]]
    await core.readers.cards()[0].access.logout(sessions[-1].id)
    core.card.process(bytes.fromhex("0024000108") + b"73192580")
    core.card.reset()
    for one in sessions:
        with pytest.raises((PinWrong, PinCancelled, RefusedTooOften)):
            await core.signing.sign(one, [request()], None)
    assert core.card.process(bytes.fromhex("00200001")) == bytes.fromhex("63C2")
    core.clock.seconds += 300  # three PIN dialogs were cancelled
    core.person.pins = ["2580"]
    assert await core.signing.sign(session, [request()], None)


@pytest.mark.parametrize("hold_pin", [True, False])
async def test_a_card_whose_signature_takes_the_login_signs_lists_and_one_after_the_other(
    issued: Issued, *, hold_pin: bool
) -> None:
    card = SimulatedCard(issued, pin=PIN.encode(), behaviour=behaving(["one-signature-a-pin"]))
    core = Core(InProcessReader("Lecteur de test", card), card, hold_pin=hold_pin)
    await core.start()
    core.person.pins = [PIN] * 4
    session, _ = await core.login.open(CALLER, None)
    for documents in (3, 1, 1):
        signed = await core.signing.sign(session, [request()] * documents, None)
        assert all(holds(one, DOCUMENT) for one in signed)
    assert [row.outcome for row in core.audit.entries if row.action == "signature.raw"] == [Outcome.DONE] * 5
    asked = [one.question.topic for one in core.person.pin_questions]
    assert asked == (["login"] if hold_pin else ["login", "sign_batch", "sign", "sign"])
    await core.stop()


async def test_a_held_pin_is_not_sent_on_the_last_try_and_the_user_is_asked(core: Core, session: Session) -> None:
    core.reader.reset_by_another_program()
    await core.readers.cards()[0].access.logout(session.id)
    for _ in range(2):
        core.card.process(bytes.fromhex("0020000104") + b"0000")
    core.person.choices = [Choice.YES, Choice.NO]
    with pytest.raises(LastTryRefused):
        await core.signing.sign(session, [request()], None)
    assert core.person.topics() == ["sign", "last_try"]
    assert core.card.process(bytes.fromhex("00200001")) == bytes.fromhex("63C1")


async def test_a_locked_session_asks_for_the_pin_and_that_dialog_is_the_consent(core: Core, session: Session) -> None:
    core.sessions.lock(session)
    core.person.pins = [PIN]
    [signed] = await core.signing.sign(session, [request()], None)
    assert holds(signed, DOCUMENT)
    assert core.person.pin_questions[-1].question.topic == "sign"
    assert core.person.questions == []
    assert core.audit.entries[-1].consent == "pin"


async def test_a_session_closed_while_its_request_waits_gets_no_signature(core: Core, session: Session) -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    access = core.readers.cards()[0].access
    blocking = asyncio.ensure_future(access.use(lambda _: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(core.signing.sign(session, [request()], None))
    await asyncio.sleep(0)
    core.sessions.close(session, "logout")
    gate.set()
    await blocking
    with pytest.raises(SessionClosed):
        await waiting


async def test_a_session_closed_while_its_consent_is_asked_gets_no_pin_and_no_signature(
    core: Core, session: Session
) -> None:
    before, pins = core.card.count, len(core.person.pin_questions)
    core.person.is_asked.clear()
    core.person.attentive.clear()
    signing = asyncio.ensure_future(core.signing.sign(session, [request()], None))
    await core.person.is_asked.wait()
    core.sessions.close(session, "logout")
    core.person.attentive.set()
    with pytest.raises(SessionClosed):
        await signing
    await core.sessions.settle()
    assert len(core.person.pin_questions) == pins
    assert core.card.count == before


@pytest.mark.parametrize("answer", [Choice.YES, Choice.NO])
async def test_requests_that_come_at_once_share_one_consent_to_assertions_and_its_answer(
    core: Core, session: Session, answer: Choice
) -> None:
    core.person.choice = answer
    core.person.is_asked.clear()
    core.person.attentive.clear()
    asking = [asyncio.ensure_future(core.parts.consents.assertions(session)) for _ in range(4)]
    await core.person.is_asked.wait()
    core.person.attentive.set()
    given = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in given} == {str if answer is Choice.YES else ConsentRefused}
    assert core.person.topics() == ["assertions"]


async def test_who_refused_assertions_is_asked_again_by_the_next_request(core: Core, session: Session) -> None:
    core.person.choices = [Choice.NO]
    with pytest.raises(ConsentRefused):
        await core.parts.consents.assertions(session)
    assert await core.parts.consents.assertions(session) == "assertions"


async def test_a_pin_typed_for_a_session_that_ended_meanwhile_is_not_kept(core: Core, session: Session) -> None:
    core.person.pins = [PIN]
    core.sessions.lock(session)
    core.person.is_asked.clear()
    core.person.attentive.clear()
    signing = asyncio.ensure_future(core.signing.sign(session, [request()], None))
    await core.person.is_asked.wait()
    core.sessions.close(session, "idle")
    core.person.attentive.set()
    with pytest.raises(SessionExpired):
        await signing
    assert session.pin is None
    assert "signature.raw done" not in core.audit.acts()


@pytest_asyncio.fixture
async def asking(simulated_card: SimulatedCard) -> AsyncIterator[Core]:
    """The core in ``pin = "ask"`` mode."""
    core = Core(InProcessReader("Lecteur de test", simulated_card), simulated_card, hold_pin=False)
    await core.start()
    yield core
    await core.stop()


async def test_in_ask_mode_each_operation_asks_for_the_pin_and_none_is_kept(asking: Core) -> None:
    asking.person.pins = [PIN] * 3
    session, _ = await asking.login.open(CALLER, None)
    for _ in range(2):
        await asking.signing.sign(session, [request()], None)
        assert session.pin is None
    assert [asked.question.topic for asked in asking.person.pin_questions] == ["login", "sign", "sign"]
    assert asking.person.pin_questions[-1].question.params["document"] == "compte-rendu.pdf"
    assert asking.person.questions == []


# --- a list that takes longer than the card may be kept from others


async def test_the_pin_of_a_long_list_is_asked_once_and_gone_at_its_end(asking: Core) -> None:
    asking.person.pins = [PIN] * 2
    session, _ = await asking.login.open(CALLER, None)
    make_turns_short(asking)
    resets = asking.card.resets
    assert len(await asking.signing.sign(session, [request()] * 5, None)) == 5
    assert asking.card.resets - resets >= 4  # after each of them, others may have the card
    assert [asked.question.topic for asked in asking.person.pin_questions] == ["login", "sign_batch"]
    assert session.pin is None


async def test_the_rows_of_a_long_list_are_written_at_once_before_its_signatures_leave(
    core: Core, session: Session
) -> None:
    make_turns_short(core)
    await core.signing.sign(session, [request()] * 5, None)
    assert core.audit.writes == [5]


@pytest.mark.parametrize("hold_pin", [True, False])
async def test_a_session_that_ends_during_a_long_list_has_none_of_it(
    simulated_card: SimulatedCard, hold_pin: bool
) -> None:
    core = Core(InProcessReader("Lecteur de test", simulated_card), simulated_card, hold_pin=hold_pin)
    await core.start()
    core.person.pins = [PIN] * 2
    session, _ = await core.login.open(CALLER, None)
    make_turns_short(core)
    signed = len(signatures(core))
    running = asyncio.ensure_future(core.signing.sign(session, [request()] * 50, None))
    await eventually(lambda: len(signatures(core)) > signed + 1)
    core.sessions.close(session, "logout")
    with pytest.raises(SessionClosed):
        await running
    await core.sessions.settle()
    assert len(signatures(core)) < signed + 49
    assert "signature.raw done" not in core.audit.acts()
    assert core.audit.acts().count("signature.raw failed") == 50
    await core.stop()


def signatures(core: Core) -> list[int]:
    return [header[1] for header in list(core.card.log) if header[1] == PERFORM_SECURITY_OPERATION]


async def test_a_card_pulled_between_two_signatures_of_a_list_gives_none(core: Core, session: Session) -> None:
    make_turns_short(core)
    running = asyncio.ensure_future(core.signing.sign(session, [request()] * 50, Batch("lot", 50)))
    await eventually(lambda: len(signatures(core)) > 2)
    core.reader.remove()
    with pytest.raises(CardRemoved):
        await running
    assert "signature.raw done" not in core.audit.acts()
