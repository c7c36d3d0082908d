"""A PIN that is changed or unblocked: what the person reads, who else hears of it, and who held the card."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
import pytest_asyncio

from cardd.core.session import Session
from cardd.errors import CarddError, CardIncomplete, CardInUse, PukRefused, PukWrong, ReaderNotYours
from cardd.model import CallerKey, PinInfo, PinQuestion, PinRole, Question
from cardd.secret import Secret
from cardd_simulators.cards.card import SimulatedCard
from tests.core.alone import program
from tests.core.at_card import OFFICER, PASSWORD, AtCard, Token
from tests.core.conftest import PIN

ME, NEW, PUK = program(), "2580", "12345678"
CHANGE, UNBLOCK = [PIN, NEW, NEW], [PUK, NEW, NEW]


@pytest.fixture
def token() -> Token:
    return Token()


@pytest_asyncio.fixture
async def there(simulated_card: SimulatedCard, token: Token) -> AsyncIterator[AtCard]:
    made = AtCard(simulated_card, token)
    yield made
    await made.close()


async def change(there: AtCard) -> None:
    there.person.pins = CHANGE[:]
    await there.life.change(ME, there.inserted)


async def unblock(there: AtCard) -> None:
    there.person.pins = UNBLOCK[:]
    await there.life.unblock(ME, there.inserted)


both = pytest.mark.parametrize("act", [change, unblock])
Act = Callable[[AtCard], Awaitable[None]]


@pytest.mark.parametrize(
    ("act", "topic", "first"),
    [
        (change, "pin_change", (PASSWORD, PinRole.CURRENT)),
        (unblock, "pin_unblock", (OFFICER, PinRole.PUK)),
    ],
)
async def test_every_dialog_says_why_and_names_code_card_and_reader(
    there: AtCard, act: Act, topic: str, first: tuple[PinInfo, PinRole]
) -> None:
    await act(there)
    question = Question(topic, 1000, {"client": "lps SIMULATION"}, caller=ME.key)
    assert there.person.pin_questions == [
        PinQuestion(question, code, "Lecteur de test", "cps3", None, None, role)
        for code, role in (first, (PASSWORD, PinRole.NEW), (PASSWORD, PinRole.REPEATED))
    ]
    assert not any(there.person.typed_into)


@both
async def test_the_row_says_that_the_codes_were_the_consent_and_the_others_hear_of_the_card(
    there: AtCard, act: Act
) -> None:
    await act(there)
    [row] = there.audit.entries
    assert (row.action, row.uid, row.caller, row.consent) == (f"pin.{act.__name__}", 1000, "lps", "pin")
    assert there.pins_heard.told == [("changed", "card-1")]


async def test_the_old_pin_goes_to_the_card_once_before_the_new_one(there: AtCard, token: Token) -> None:
    await change(there)
    assert token.presented == ["pin", "new pin"]


async def test_a_keypad_asks_for_the_old_pin_and_for_the_new_one(simulated_card: SimulatedCard) -> None:
    token = Token()
    there = AtCard(simulated_card, token, keypad=True)
    await there.access.info()
    await there.life.change(ME, there.inserted)
    assert token.presented == ["pin at the keypad", "new pin at the keypad"]
    assert there.person.pin_questions == []
    await there.close()


# --- whose card it is


def held_by(there: AtCard, uid: int) -> Session:
    return there.opened(f"of {uid}", program(uid=uid), there.inserted)[0]


@both
async def test_the_dialogs_say_that_another_users_session_ends_and_it_does(there: AtCard, act: Act) -> None:
    theirs, mine = held_by(there, 1001), held_by(there, 1000)
    there.taken()
    await act(there)
    assert ["takes_over" in asked.question.params for asked in there.person.pin_questions] == [True] * 3
    assert there.taken() == [("closed", theirs.id, "taken_over")]
    assert there.sessions.is_open(mine)


@both
async def test_whose_card_it_is_alone_is_told_of_nobody(there: AtCard, act: Act) -> None:
    mine = held_by(there, 1000)
    await act(there)
    assert not any("takes_over" in asked.question.params for asked in there.person.pin_questions)
    assert there.sessions.is_open(mine)


@both
async def test_a_user_who_came_to_hold_the_card_meanwhile_keeps_it_and_its_pin(
    there: AtCard, token: Token, act: Act
) -> None:
    there.person.attentive.clear()
    acting = asyncio.ensure_future(act(there))
    await there.person.is_asked.wait()
    theirs = held_by(there, 1001)
    there.person.attentive.set()
    with pytest.raises(CardInUse):
        await acting
    assert there.sessions.is_open(theirs)
    assert token.presented in (["pin"], [])
    assert not any(there.person.typed_into)


async def test_who_lost_the_reader_while_choosing_a_pin_sets_none(there: AtCard, token: Token) -> None:
    token.verify = partial(_verified, there, token.verify, ME.key)  # type: ignore[method-assign]
    with pytest.raises(ReaderNotYours):
        await change(there)
    assert token.presented == ["pin"]
    assert there.audit.acts() == ["pin.change failed"]


def _verified(there: AtCard, verify: Callable[[Secret | None], None], who: CallerKey, pin: Secret | None) -> None:
    verify(pin)
    there.refused = {who}


# --- the PUK


async def test_a_puk_is_asked_again_while_the_card_has_tries_or_tells_none(there: AtCard, token: Token) -> None:
    token.refusals = [PukRefused()]
    there.person.pins = ["00000000", NEW, NEW, PUK]
    await there.life.unblock(ME, there.inserted)
    assert [asked.problem for asked in there.person.pin_questions] == [None, None, None, "wrong"]
    assert token.presented == ["puk"] * 2


@pytest.mark.parametrize(("left", "presented"), [(2, 2), (1, 1), (0, 1)])
async def test_a_puk_is_not_asked_again_for_the_last_try(
    there: AtCard, token: Token, left: int, presented: int
) -> None:
    token.refusals = [PukWrong(tries_left=left)]
    there.person.pins = ["00000000", NEW, NEW, PUK]
    ended: CarddError | None = None
    try:
        await there.life.unblock(ME, there.inserted)
    except PukWrong as error:
        ended = error
    assert (ended is None) == (presented == 2)
    assert token.presented == ["puk"] * presented


async def test_a_card_without_a_pin_has_none_to_unblock(simulated_card: SimulatedCard) -> None:
    there = AtCard(simulated_card, Token(pin=None))
    there.person.pins = [PUK]
    with pytest.raises(CardIncomplete) as told:
        await there.life.unblock(ME, there.inserted)
    assert told.value.params == {"what": "pin"}
    await there.close()
