"""What a login asks of the person and tells the others: by a token that counts nothing, and at a keypad."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cardd.core.card_transaction import HolderVerification, PinForEach, Work
from cardd.driver import Card
from cardd.errors import (
    CarddError,
    CardIncomplete,
    CardMute,
    CardRemoved,
    LastTryRefused,
    PinBackOff,
    PinBlocked,
    PinCancelled,
    PinRefused,
    PinWrong,
    SessionClosed,
)
from cardd.model import CallerKey, Choice, PinQuestion, PinRole, Question, ShownDocument
from cardd.secret import Secret
from cardd_simulators.cards.card import SimulatedCard
from tests.core.at_card import PASSWORD, AtCard, Token, signed
from tests.core.conftest import PIN
from tests.core.test_card_access import VERIFY, instructions, wrong

ME = CallerKey(1000, "lps")
WHY = Question("login", 1000, {"client": "LPS SIMULATION"}, caller=ME)


@asynccontextmanager
async def at(card: SimulatedCard, opened: Token | None = None, *, keypad: bool = False) -> AsyncIterator[AtCard]:
    made = AtCard(card, opened, keypad=keypad)
    try:
        yield made
    finally:
        await made.close()


def nothing(_: Card) -> list[bytes]:
    return []


async def log_in(
    there: AtCard, work: Work[list[bytes]] = nothing, question: Question = WHY, **more: object
) -> tuple[list[bytes], Secret | None]:
    return await there.pins.login(there.inserted, "session", ME, question, work, **more)  # type: ignore[arg-type]


def listed(*names: str) -> Question:
    documents = tuple(ShownDocument(name, name) for name in names)
    return Question("sign_batch", 1000, {}, caller=ME, documents=documents)


async def test_a_code_that_no_card_counts_is_asked_again_as_refused_and_then_its_caller_waits(
    simulated_card: SimulatedCard,
) -> None:
    token = Token(PinRefused(), PinRefused(), PinRefused())
    async with at(simulated_card, token) as there:
        there.person.pins = ["0000"] * 3
        with pytest.raises(PinBackOff):
            await log_in(there)
        assert there.person.pin_questions == [
            PinQuestion(WHY, PASSWORD, "Lecteur de test", "cps3", None, problem, PinRole.CURRENT)
            for problem in (None, "refused")
        ]
        assert token.presented == ["pin"] * 2


@pytest.mark.parametrize(
    ("mistakes", "typed", "error", "told"),
    [
        (0, ["0000"], PinWrong, [2]),
        (1, ["0000"], PinWrong, [1]),
        (3, [], PinBlocked, [0]),
        (2, [PIN], LastTryRefused, [1]),
        (0, [], PinCancelled, []),
    ],
)
async def test_the_tries_left_are_told_to_the_others_where_a_login_came_to_nothing(
    simulated_card: SimulatedCard, mistakes: int, typed: list[str], error: type[CarddError], told: list[int]
) -> None:
    async with at(simulated_card) as there:
        wrong(simulated_card, mistakes)
        there.person.pins, there.person.choice = typed, Choice.NO
        with pytest.raises(error) as failed:
            await log_in(there)
        assert there.pins_heard.told == [("refused", "card-1", ME, left) for left in told]
        if error is not PinBlocked:
            assert failed.value.params == ({"tries_left": told[0]} if told else {})


async def test_no_number_is_told_to_the_others_where_a_token_tells_none(simulated_card: SimulatedCard) -> None:
    async with at(simulated_card, Token(PinRefused())) as there:
        there.person.pins = ["0000"]
        with pytest.raises(PinRefused):
            await log_in(there)
        assert there.pins_heard.told == []


async def test_the_last_try_is_asked_for_with_all_that_the_first_question_said(simulated_card: SimulatedCard) -> None:
    async with at(simulated_card) as there:
        wrong(simulated_card, 2)
        there.person.pins = [PIN]
        await log_in(there)
        [question] = there.person.questions
        assert (question.topic, question.uid, question.caller) == ("last_try", 1000, ME)
        assert question.params == {
            "client": "LPS SIMULATION",
            "card": "cps3",
            "reader": "Lecteur de test",
            "tries_left": 1,
        }


async def test_what_was_logged_in_for_a_session_is_that_sessions(simulated_card: SimulatedCard) -> None:
    async with at(simulated_card) as there:
        there.person.pins = [PIN]
        _, pin = await log_in(there)
        before = simulated_card.count
        await there.access.use(lambda _: None, HolderVerification("session", pin, accepted=True))
        assert simulated_card.count == before


async def test_a_pin_goes_neither_to_another_card_nor_to_one_whose_session_ended(
    simulated_card: SimulatedCard,
) -> None:
    def ended() -> None:
        raise SessionClosed(reason="logout")

    async with at(simulated_card) as there:
        await there.access.certificates()
        there.person.pins = [PIN] * 2
        before = simulated_card.count
        with pytest.raises(CardRemoved):
            await log_in(there, certificates=frozenset((b"another",)))
        with pytest.raises(SessionClosed):
            await log_in(there, ensure_wanted=ended)
        assert there.person.pins == []
        assert instructions(simulated_card, before).count(VERIFY) == 2  # the questions for the tries
        assert not any(there.person.typed_into)


async def test_a_card_without_a_pin_is_told_to_be_incomplete(simulated_card: SimulatedCard) -> None:
    async with at(simulated_card, Token(pin=None)) as there:
        with pytest.raises(CardIncomplete) as told:
            await log_in(there)
        assert told.value.params == {"what": "pin"}


@pytest.mark.parametrize(
    ("stored", "refusals", "told"),
    [(PIN, [CardMute()], 0), (None, [PinRefused()], 0), (PIN, [PinRefused()], 1), (PIN, [PinBlocked()], 1)],
    ids=["mute", "typed", "wrong", "blocked"],
)
async def test_a_kept_code_is_told_to_be_wrong_where_it_is_and_in_no_other_case(
    simulated_card: SimulatedCard, stored: str | None, refusals: list[CarddError], told: int
) -> None:
    token, heard = Token(*refusals), list[None]()
    async with at(simulated_card, token) as there:
        there.person.pins = ["0000"] if stored is None else []
        kept = Secret.of(stored.encode()) if stored else None
        with pytest.raises(CarddError):
            await log_in(there, stored=kept, refused=lambda: heard.append(None))
        assert len(heard) == told
        assert not kept
        assert token.presented == ["pin"]


# --- at a reader's keypad


async def test_a_keypad_that_asks_in_vain_asks_no_second_time(simulated_card: SimulatedCard) -> None:
    token = Token(signatures_a_pin=0)  # it wants the PIN whatever is presented
    async with at(simulated_card, token, keypad=True) as there:
        await there.access.info()
        with pytest.raises(PinForEach):
            await log_in(there, signed(1))
        assert token.presented == ["pin at the keypad"]


async def test_more_signatures_than_were_told_are_not_typed_for(simulated_card: SimulatedCard) -> None:
    token = Token(signatures_a_pin=1)
    async with at(simulated_card, token, keypad=True) as there:
        await there.access.info()
        with pytest.raises(PinForEach):
            await log_in(there, signed(2), operations=1)
        assert token.presented == ["pin at the keypad"] * 2
        assert there.person.topics() == ["login"] * 2


async def test_a_login_at_a_keypad_is_one_operation_unless_it_says_more(simulated_card: SimulatedCard) -> None:
    token = Token(signatures_a_pin=1)
    async with at(simulated_card, token, keypad=True) as there:
        await there.access.info()
        await log_in(there, signed(2), operations=2)
        assert there.person.topics() == ["login", "login", "login"]  # beside the keypad; then to agree to, beside it
        assert [question.params.get("times") for question in there.person.questions] == [None, 2, 2]
        there.person.questions.clear()
        assert await log_in(there, signed(1)) == ([b"signature"], None)
        assert [question.params for question in there.person.questions] == [
            {"client": "LPS SIMULATION", "reader": "Lecteur de test"}
        ]


@pytest.mark.parametrize(("names", "asked"), [((), 1), (("a.pdf",), 1), (("a.pdf", "b.pdf"), 2)])
async def test_a_list_is_agreed_to_before_the_keypad_and_a_single_document_beside_it(
    simulated_card: SimulatedCard, names: tuple[str, ...], asked: int
) -> None:
    async with at(simulated_card, Token(), keypad=True) as there:
        await there.access.info()
        await log_in(there, question=listed(*names))
        assert len(there.person.questions) == asked


async def test_a_keypad_has_the_time_of_each_signature_of_a_list(simulated_card: SimulatedCard) -> None:
    async with at(simulated_card, Token(), keypad=True) as there:
        await there.access.info()
        lasted: list[float] = []
        for operations in (1, 3):
            there.reader.timeouts.clear()
            await log_in(there, signed(operations), operations=operations)
            lasted.append(max(there.reader.timeouts))
        assert lasted[1] - lasted[0] == 2 * 5.0
