"""The PIN that a use of a key needs: the one that is held, and the one that is asked for when it serves no more."""

from __future__ import annotations

import asyncio

import pytest

from cardd.core.attempts import Attempts, SignedMeanwhile
from cardd.core.consents import Batch
from cardd.errors import (
    BatchExhausted,
    CardRemoved,
    LastTryRefused,
    PinBackOff,
    PinCancelled,
    PinWrong,
    SessionClosed,
)
from cardd.model import Choice, KeyPurpose, Outcome
from cardd.values import replace
from tests.core.at_card import PinsHeard
from tests.core.conftest import CALLER, PIN
from tests.core.test_card_access import VERIFY, instructions, wrong
from tests.core.test_signing_rows import PSO, Open, opened, request

__all__ = ["opened"]


async def test_a_wrong_held_pin_locks_every_session_of_its_card_and_the_others_hear_of_its_tries(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.person.pins = [PIN]
    other, _ = await core.login.open(CALLER, None)
    await core.readers.cards()[0].access.logout(other.id)
    assert session.pin
    session.pin.fill(memoryview(b"0000"))
    heard = PinsHeard()
    core.parts.lifecycle.join(heard)
    with pytest.raises(PinWrong):
        await core.signing.authenticate(session, "n" * 44)
    assert [str(one.state) for one in (session, other)] == ["locked"] * 2
    assert not session.pin
    assert not other.pin
    assert session.card
    assert heard.told == [("refused", session.card.id, CALLER.key, 2)]
    core.person.pins = ["0000"]
    with pytest.raises(PinWrong):
        await core.signing.authenticate(session, "n" * 44)
    with pytest.raises(PinBackOff):  # the held one was a mistake of this caller's too
        session.card.access.ensure_presentable(CALLER.key)


async def test_a_held_pin_that_may_not_be_sent_locks_every_session_of_its_card(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.person.pins = [PIN]
    other, _ = await core.login.open(CALLER, None)
    await core.readers.cards()[0].access.logout(other.id)
    core.reader.reset_by_another_program()
    core.clock.seconds += 1
    wrong(core.card, 2)
    core.person.choice = Choice.NO
    await core.readers.cards()[0].access.use(lambda card: card.info)
    with pytest.raises(LastTryRefused):
        await core.signing.authenticate(session, "n" * 44)
    assert [str(one.state) for one in (session, other)] == ["locked"] * 2


@pytest.mark.parametrize("is_held", [True, False])
async def test_a_card_without_the_certificates_of_the_session_gets_neither_its_pin_nor_its_work(
    opened: Open, is_held: bool
) -> None:
    core, session = opened.core, opened.session
    session.credentials[KeyPurpose.TECHNICAL] = replace(
        session.credentials[KeyPurpose.SIGNATURE], certificate=b"another SIMULATION"
    )
    if is_held:
        await core.readers.cards()[0].access.logout(session.id)
    else:
        core.sessions.lock(session)
        core.person.pins = [PIN]
    before = core.card.count
    with pytest.raises(CardRemoved):
        await core.signing.authenticate(session, "n" * 44)
    assert instructions(core.card, before).count(VERIFY) == (0 if is_held else 1)  # the question for the tries


async def test_the_dialog_of_the_pin_shows_the_whole_batch_that_it_agrees_to(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.sessions.lock(session)
    core.person.pins = [PIN]
    await core.signing.sign(session, [request()], Batch("lot", 3))
    question = core.person.pin_questions[-1].question
    assert (question.topic, question.params["batch"], question.params["count"]) == ("sign_batch", "lot", 3)
    await core.signing.sign(session, [request()] * 2, Batch("lot", 3))
    assert [row.consent for row in opened.rows()] == ["pin", "batch:lot", "batch:lot"]
    assert core.person.questions == []


async def test_a_screen_that_was_locked_while_the_pin_was_typed_keeps_the_session_locked(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.sessions.lock(session)
    core.person.pins = [PIN] * 2
    core.person.is_asked.clear()
    core.person.attentive.clear()
    using = asyncio.ensure_future(core.signing.authenticate(session, "n" * 44))
    await core.person.is_asked.wait()
    core.sessions.screens_locked(frozenset((1000,)))
    core.person.attentive.set()
    await using
    assert session.pin is None
    assert not any(core.person.typed_into)
    await core.signing.authenticate(session, "n" * 44)  # who types it behind the screen, as over ssh, is there
    assert session.pin


async def test_an_attempt_that_was_given_up_and_signed_is_not_signed_again_and_gives_its_consent_back(
    opened: Open,
) -> None:
    core, session, batch = opened.core, opened.session, Batch("lot", 3)
    attempts = Attempts(core.audit, core.clock, 1.0)
    await core.signing.sign(session, [request()], batch)
    given_up, again = [await attempts.begin(CALLER, "key", b"request") for _ in range(2)]
    first = await core.signing.sign(session, [request()], batch, given_up)
    before = core.card.count
    with pytest.raises(SignedMeanwhile):
        await core.signing.sign(session, [request()], batch, again)
    assert await core.signing.sign(session, [request()], batch, again) == first
    assert PSO not in instructions(core.card, before)
    assert await core.signing.sign(session, [request()], batch)  # the third of the batch
    with pytest.raises(BatchExhausted):
        await core.signing.sign(session, [request()], batch)


async def test_reading_behind_the_pin_asks_for_it_as_an_unlocking(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.sessions.lock(session)
    core.person.pins = [PIN]
    assert await core.signing.read(session, lambda card: card.info) == await core.readers.cards()[0].access.info()
    question = core.person.pin_questions[-1].question
    assert (question.topic, question.params) == ("unlock", {"client": CALLER.name})
    assert session.pin
    assert session.state == "active"


async def test_who_closes_a_dialog_for_the_pin_ends_that_use_and_keeps_the_session_locked(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.sessions.lock(session)
    with pytest.raises(PinCancelled):
        await core.signing.authenticate(session, "n" * 44)
    assert session.pin is None
    assert core.sessions.is_open(session)
    question = core.person.pin_questions[-1].question
    assert (question.topic, question.params) == ("unlock", {"client": CALLER.name})
    assert [(row.action, row.outcome, row.code) for row in opened.rows()] == [
        ("auth_token.issue", Outcome.REFUSED, "pin.cancelled")
    ]


async def test_a_closed_session_reads_nothing_and_nobody_is_asked(opened: Open) -> None:
    core, session = opened.core, opened.session
    asked = len(core.person.pin_questions)
    core.sessions.close(session, "logout")
    with pytest.raises(SessionClosed):
        await core.signing.read(session, lambda card: card.info)
    assert len(core.person.pin_questions) == asked
