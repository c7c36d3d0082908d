"""An answer that comes as the dialog opens, meant for another window perhaps: asked for again, with the reason."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import sleep

import pytest

from cardd.agent.dialogs import Dialogs
from cardd.errors import CarddError, PinCancelled, PinTimeout
from cardd.model import Choice, PinRole, ShownDocument
from cardd.secret import Secret
from cardd.values import replace
from tests.agent.questions import pin_question, question, typed
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.waiting import eventually

EARLY_PIN = (
    "Saisi pendant que cette fenêtre s'ouvrait, peut-être pour une autre : rien n'a été envoyé. "
    "Saisissez-le de nouveau."
)
EARLY_YES = (
    "Répondu pendant que cette fenêtre s'ouvrait, peut-être pour une autre : rien n'a été fait. Répondez de nouveau."
)


def told_why(pinentry: ScriptedPinentry) -> list[str]:
    return [shown.error for shown in pinentry.shown()]


def a_little_armed(directory: Path) -> tuple[Dialogs, ScriptedPinentry]:
    pinentry = ScriptedPinentry(directory, pin="7319", reads=0.3)
    return Dialogs(program=str(pinentry.path), armed_after=0.2), pinentry


@pytest.mark.parametrize(("answer", "choice"), [("cancel", Choice.NO), ("yes", Choice.YES)])
async def test_a_yes_that_comes_before_the_question_can_be_read_is_not_taken(
    tmp_path: Path, answer: str, choice: Choice
) -> None:
    pinentry = ScriptedPinentry(tmp_path)
    pinentry.answer("haste", answer)
    assert await Dialogs(program=str(pinentry.path)).confirm(question("certificates")) is choice
    assert len(pinentry.shown()) == 2


async def test_a_no_that_comes_before_the_question_can_be_seen_refuses_nothing(tmp_path: Path) -> None:
    """Space and Enter, typed for another window, press Cancel where that has the focus."""
    pinentry = ScriptedPinentry(tmp_path)
    pinentry.answer("hasty-cancel", "yes")
    assert await Dialogs(program=str(pinentry.path)).confirm(question("certificates")) is Choice.YES
    pinentry.answer("hasty-cancel")
    assert await typed(Dialogs(program=str(pinentry.path)), pin_question()) == b"1234"
    assert len(pinentry.shown()) == 4


async def test_a_key_that_is_held_down_refuses_nothing(tmp_path: Path) -> None:
    dialogs, pinentry = a_little_armed(tmp_path)
    pinentry.answer(confirm="hasty-cancel")
    asked = asyncio.ensure_future(dialogs.confirm(question("certificates")))
    await eventually(lambda: len(pinentry.shown()) == 2)
    pinentry.answer(confirm="yes")
    assert await asked is Choice.YES


async def test_a_yes_that_was_not_taken_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    dialogs, pinentry = a_little_armed(tmp_path)
    pinentry.answer("haste", "yes")
    assert await dialogs.confirm(question("certificates")) is Choice.YES
    first, again = (shown.description for shown in pinentry.shown())
    assert again == f"{EARLY_YES}\n\n{first}"


async def test_the_reason_takes_nothing_of_what_is_asked_away(tmp_path: Path) -> None:
    dialogs, pinentry = a_little_armed(tmp_path)
    pinentry.answer("haste", "yes")
    named = dict.fromkeys(("client", "batch", "holder", "patient"), "L" * 300)
    documents = (ShownDocument("a" * 190, "pades"), ShownDocument("b" * 300, "pades"))
    asked = replace(question("sign_batch", count=2, times=2, unseen="", **named), documents=documents)
    await dialogs.confirm(asked)
    first, again = pinentry.shown()
    assert again.description == first.description
    assert again.error == EARLY_YES


async def test_digits_that_were_typed_for_another_window_are_no_pin(tmp_path: Path) -> None:
    pinentry = ScriptedPinentry(tmp_path, pin="7319")
    pinentry.answer("early:9999")
    assert await typed(Dialogs(program=str(pinentry.path)), pin_question()) == b"7319"
    assert told_why(pinentry) == ["", EARLY_PIN]


@pytest.mark.parametrize(
    ("role", "early"), [(PinRole.NEW, "9999"), (PinRole.REPEATED, ""), (PinRole.PUK, "hunter2, and Enter")]
)
async def test_so_is_it_for_every_code_and_whatever_was_typed(tmp_path: Path, role: PinRole, early: str) -> None:
    dialogs, pinentry = a_little_armed(tmp_path)
    pinentry.answer("pin:12", f"early:{early}")
    assert await typed(dialogs, replace(pin_question(), role=role)) == b"7319"
    assert told_why(pinentry) == ["", "De 4 à 8 chiffres. Rien n'a été envoyé à la carte.", EARLY_PIN]


@pytest.mark.parametrize(("then", "error"), [("cancel", PinCancelled), ("timeout", PinTimeout)])
async def test_who_gives_up_after_such_an_entry_has_not_mistyped(
    tmp_path: Path, then: str, error: type[CarddError]
) -> None:
    dialogs, pinentry = a_little_armed(tmp_path)
    pinentry.answer("early:12", then)
    with Secret() as secret:
        with pytest.raises(error):
            await dialogs.ask_pin(pin_question(), secret)
        assert not secret


def stop_for(seconds: float) -> None:
    """Do nothing else, as where the system stops this process, or gives it no time."""
    sleep(seconds)


async def test_an_answer_that_waited_while_this_process_could_not_look_came_early_all_the_same(tmp_path: Path) -> None:
    pinentry = ScriptedPinentry(tmp_path, reads=0.2)
    pinentry.answer("pin:9999", "timeout")
    asked = asyncio.ensure_future(typed(Dialogs(program=str(pinentry.path), armed_after=0.4), pin_question()))
    await eventually(lambda: bool(pinentry.shown()))
    stop_for(0.6)
    with pytest.raises(PinTimeout):
        await asked
    assert told_why(pinentry) == ["", EARLY_PIN]


async def test_a_program_that_always_types_at_once_is_not_asked_for_ever(tmp_path: Path) -> None:
    dialogs, pinentry = a_little_armed(tmp_path)
    pinentry.answer(*["early:7319"] * 1000)
    with Secret() as secret:
        with pytest.raises(PinCancelled):
            await dialogs.ask_pin(pin_question(), secret)
        assert not secret
    assert len(pinentry.shown()) <= 10
