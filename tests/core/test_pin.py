"""Rule 4: tries are read before a PIN is sent, the last one is the user's to spend, and mistakes make a client wait."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from cardd.core.dialog_lines import question_of
from cardd.core.pin import PinEntry
from cardd.errors import CarddError, LastTryRefused, PinBackOff, PinBlocked, PinCancelled, PinWrong, PromptUnavailable
from cardd.model import Choice, Peer
from cardd.secret import Secret
from cardd.values import replace
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, OTHER, PIN, Core
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually


async def test_a_right_pin_opens_a_session_with_the_certificates_identity(core: Core) -> None:
    core.person.pins = [PIN]
    session, token = await core.login.open(CALLER, None)
    assert session.identity.family_name == "SIMULATION-MEDECIN"
    assert core.sessions.authenticate(token, CALLER.id, CALLER.peer.uid) is session


async def test_the_dialog_names_card_reader_program_and_tries_left(core: Core) -> None:
    core.person.pins = [PIN]
    await core.login.open(CALLER, None)
    [asked] = core.person.pin_questions
    assert (asked.reader, asked.card, asked.tries_left) == ("Lecteur de test", "cps3", 3)
    assert (asked.question.topic, asked.question.params["client"]) == ("login", "LPS de test")


async def test_a_mistyped_pin_is_asked_again_with_fewer_tries(core: Core) -> None:
    core.person.pins = ["0000", PIN]
    await core.login.open(CALLER, None)
    assert [(asked.tries_left, asked.problem) for asked in core.person.pin_questions] == [(3, None), (2, "wrong")]


@pytest.mark.parametrize(
    ("wrong", "error", "params"),
    [([], PinCancelled, {}), (["0000"], PinWrong, {"tries_left": 2}), (["0000"] * 2, PinWrong, {"tries_left": 1})],
    ids=str,
)
async def test_giving_up_tells_the_tries_that_wrong_pins_left_and_is_recorded(
    core: Core, wrong: list[str], error: type[CarddError], params: dict[str, object]
) -> None:
    core.person.pins = wrong
    with pytest.raises(error) as given_up:
        await core.login.open(CALLER, None)
    assert given_up.value.params == params
    assert core.audit.acts() == ["session.open refused"]


async def test_with_one_try_left_the_question_comes_first_and_no_means_no(core: Core) -> None:
    core.person.pins = ["0000", "0000", PIN]
    with pytest.raises(PinWrong):
        await core.login.open(CALLER, None)
    core.person.choice = Choice.NO
    with pytest.raises(LastTryRefused):
        await core.login.open(OTHER, None)
    assert [question.topic for question in core.person.questions] == ["last_try"]
    assert core.person.pins == [PIN]


async def test_with_one_try_left_a_yes_lets_the_right_pin_through(core: Core) -> None:
    core.person.pins = ["0000", "0000", PIN]
    with pytest.raises(PinWrong):
        await core.login.open(CALLER, None)
    session, _ = await core.login.open(OTHER, None)
    assert session.state == "active"


async def test_a_kept_pin_never_takes_the_last_try_which_is_typed(core: Core) -> None:
    core.person.pins = ["0000", "0000", PIN]
    with pytest.raises(PinWrong):
        await core.login.open(CALLER, None)
    pins, [card] = PinEntry(core.parts.dialogs, core.parts.lifecycle), core.readers.cards()
    question = question_of(OTHER, "organisation")
    kept = Secret.of(b"9999")  # a wrong one
    await pins.login(card, "session", OTHER.key, question, lambda _: None, stored=kept)
    assert core.person.pins == []
    assert not kept


async def test_a_kept_pin_is_told_to_be_wrong_though_nobody_can_be_asked(core: Core) -> None:
    pins, [card] = PinEntry(core.parts.dialogs, core.parts.lifecycle), core.readers.cards()
    core.person.fault = PromptUnavailable(why="no_agent")
    question, told = question_of(OTHER, "organisation"), asyncio.Event()
    kept = Secret.of(b"9999")
    with pytest.raises(PromptUnavailable):
        await pins.login(card, "session", OTHER.key, question, lambda _: None, stored=kept, refused=told.set)
    assert told.is_set()
    assert not kept


async def test_a_blocked_card_is_told_before_any_pin_is_asked(core: Core) -> None:
    core.person.pins = ["0000", "0000", "0000"]
    for caller in (CALLER, OTHER):
        with pytest.raises((PinWrong, PinBlocked)):
            await core.login.open(caller, None)
    core.person.pin_questions.clear()
    core.clock.seconds += 60
    with pytest.raises(PinBlocked):
        await core.login.open(OTHER, None)
    assert core.person.pin_questions == []


async def test_wrong_pins_make_that_client_wait_and_no_other(core: Core) -> None:
    core.person.pins = ["0000", "0000"]
    with pytest.raises(PinWrong):
        await core.login.open(CALLER, None)
    with pytest.raises(PinBackOff) as wait:
        await core.login.open(CALLER, None)
    assert int(wait.value.params["retry_after"]) > 0
    core.person.pins = [PIN]
    assert await core.login.open(OTHER, None)


async def test_the_wait_ends_with_time(core: Core) -> None:
    core.person.pins = ["0000", "0000"]
    with pytest.raises(PinWrong):
        await core.login.open(CALLER, None)
    core.clock.seconds += 2
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    assert session.caller is CALLER


async def test_the_wait_grows_with_each_mistake(core: Core) -> None:
    core.person.pins = ["0000"] * 3
    with pytest.raises(PinWrong):
        await core.login.open(CALLER, None)
    core.clock.seconds += 2
    with pytest.raises((PinWrong, PinBlocked)):
        await core.login.open(CALLER, None)
    core.clock.seconds += 2
    with pytest.raises(PinBackOff):
        await core.login.open(CALLER, None)
    core.clock.seconds += 2
    with pytest.raises(PinBlocked):
        await core.login.open(CALLER, None)


async def test_wrong_pins_for_the_cards_that_somebody_is_lent_make_nobody_else_wait(core: Core) -> None:
    lent, remote = "Lecteur prêté", replace(CALLER, id="lps-remote", peer=Peer(1001))
    for _ in range(4):  # whoever lends can show as many cards as they like
        card = simulated_card(pin=PIN.encode())
        core.readers.reader_added(InProcessReader(lent, card, partial(core.readers.open_card, lent)), 1001)
        core.readers.card_inserted(lent, card.atr)
        [shown] = [card.id for card in core.readers.cards() if card.user == 1001]
        for _mistake in range(2):
            core.person.pins = ["0000"]
            with pytest.raises((PinWrong, PinBackOff)):
                await core.login.open(remote, shown)
            core.clock.seconds += 61
        core.readers.reader_removed(lent)
    core.clock.seconds -= 61
    core.person.pins = [PIN]
    await core.login.open(CALLER, None)


async def test_the_certificates_are_read_while_the_user_types(core: Core) -> None:
    core.person.attentive.clear()
    core.person.pins = [PIN]
    login = asyncio.ensure_future(core.login.open(CALLER, None))
    await eventually(lambda: bool(core.person.pin_questions))
    await core.readers.cards()[0].access.certificates()
    before = core.card.count
    core.person.attentive.set()
    await login
    assert core.card.count - before == 2  # the tries left, and VERIFY
