"""What each flavor of pinentry can show, and how a question with three answers is asked there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd.agent.dialogs import Dialogs
from cardd.agent.pinentry import find_pinentry
from cardd.model import Choice
from cardd.values import replace
from tests.agent.questions import of_twenty, question
from tests.rig.other_user import needs_root
from tests.rig.pinentry import ScriptedPinentry


def of_flavor(directory: Path, flavor: str) -> tuple[Dialogs, ScriptedPinentry]:
    pinentry = ScriptedPinentry(directory, pin="7319", flavor=flavor, reads=0)
    return Dialogs(program=str(pinentry.path), timeout=20, armed_after=0), pinentry


@needs_root
def test_a_pinentry_that_cuts_what_it_shows_is_passed_over(tmp_path: Path) -> None:
    """FLTK's cuts lines off above and below, and puts a long dialog's buttons beside the screen."""
    for name in ("pinentry-fltk", "pinentry-qt"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "pinentry").symlink_to("pinentry-fltk")  # as update-alternatives leaves it
    desktop = {"PATH": str(tmp_path), "DISPLAY": ":0"}
    assert find_pinentry(None, desktop) == str(tmp_path / "pinentry-qt")
    (tmp_path / "pinentry-qt").unlink()
    assert find_pinentry(None, desktop) is None
    assert find_pinentry(str(tmp_path / "pinentry"), desktop) == str(tmp_path / "pinentry")  # whoever names it knows


async def test_where_no_third_button_is_shown_the_documents_come_first(tmp_path: Path) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "gnome3")
    assert await dialogs.confirm(of_twenty()) is Choice.YES
    *pages, asked = pinentry.shown()
    assert [(shown.ok, shown.not_ok, shown.cancel) for shown in pages] == [("Continue", "", "Refuse")] * len(pages)
    assert "ordonnance-19-du-cabinet.pdf" in pages[-1].description
    assert (asked.ok, asked.not_ok, asked.cancel) == ("Accept", "", "Refuse")


async def test_who_refuses_on_a_page_is_asked_no_more(tmp_path: Path) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "gnome3")
    pinentry.answer("cancel")
    assert await dialogs.confirm(of_twenty()) is Choice.NO
    assert len(pinentry.shown()) == 1


@pytest.mark.parametrize(
    ("answers", "choice"),
    [(["yes"], Choice.YES), (["cancel", "yes"], Choice.ANOTHER), (["cancel", "cancel"], Choice.NO)],
)
async def test_another_one_is_a_dialog_of_its_own_there(tmp_path: Path, answers: list[str], choice: Choice) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "gnome3")
    pinentry.answer(*answers)
    asked = replace(question("card", "en", card="cps3", reader="Lecteur A"), third=Choice.ANOTHER)
    assert await dialogs.confirm(asked) is choice
    labels = [(shown.ok, shown.cancel) for shown in pinentry.shown()]
    assert labels == [("Use this one", "Not this one"), ("Show another", "Cancel")][: len(answers)]


@pytest.mark.parametrize(
    ("answers", "choice"),
    [(["yes", "yes"], Choice.ALWAYS), (["yes", "cancel"], Choice.YES), (["cancel"], Choice.NO)],
)
async def test_how_long_is_asked_in_a_dialog_of_its_own_there(
    tmp_path: Path, answers: list[str], choice: Choice
) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "gnome3")
    pinentry.answer(*answers)
    asked = replace(question("origin", "en", origin="https://dmp.example"), third=Choice.ALWAYS)
    assert await dialogs.confirm(asked) is choice
    labels = [(shown.ok, shown.cancel) for shown in pinentry.shown()]
    assert labels == [("Accept", "Refuse"), ("Accept and remember", "Only this once")][: len(answers)]


async def test_what_is_just_for_comfort_is_not_offered_there(tmp_path: Path) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "gnome3")
    pinentry.answer("cancel")
    asked = replace(question("origin", "en", origin="https://dmp.example"), third=Choice.AGAIN)
    assert await dialogs.confirm(asked) is Choice.NO
    assert [shown.not_ok for shown in pinentry.shown()] == [""]


@pytest.mark.parametrize(
    ("third", "answers", "choice", "begins_with"),
    [
        (None, ["no"], Choice.YES, ["Refuse"]),
        (None, ["yes"], Choice.NO, ["Refuse"]),
        (None, ["cancel"], Choice.NO, ["Refuse"]),
        (Choice.ALWAYS, ["yes"], Choice.NO, ["Refuse"]),
        (Choice.ALWAYS, ["cancel"], Choice.NO, ["Refuse"]),
        (Choice.ALWAYS, ["no", "yes"], Choice.YES, ["Refuse", "Only this once"]),
        (Choice.ALWAYS, ["no", "no"], Choice.ALWAYS, ["Refuse", "Only this once"]),
        (Choice.ALWAYS, ["no", "cancel"], Choice.NO, ["Refuse", "Only this once"]),
        (Choice.ANOTHER, ["yes"], Choice.ANOTHER, ["Show another"]),
        (Choice.ANOTHER, ["no"], Choice.YES, ["Show another"]),
        (Choice.ANOTHER, ["cancel"], Choice.NO, ["Show another"]),
        (Choice.AGAIN, ["yes"], Choice.YES, ["Hide"]),
    ],
)
async def test_enter_on_a_button_that_is_in_focus_agrees_to_nothing(
    tmp_path: Path, third: Choice | None, answers: list[str], choice: Choice, begins_with: list[str]
) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "curses")
    pinentry.answer(*answers)
    asked = replace(question("origin", "en", origin="https://dmp.example"), third=third)
    assert await dialogs.confirm(asked) is choice
    assert [shown.ok for shown in pinentry.shown()] == begins_with


async def test_the_flavor_that_gnome3_falls_back_to_without_a_desktop_is_known(tmp_path: Path) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "gnome3:curses")
    pinentry.answer("cancel")
    await dialogs.confirm(question())
    assert pinentry.shown()[0].ok == "Refuser"


async def test_there_the_documents_can_be_read_and_then_agreed_to(tmp_path: Path) -> None:
    dialogs, pinentry = of_flavor(tmp_path, "curses")
    pinentry.answer("yes", "no", "no")  # see all, decide, accept
    assert await dialogs.confirm(of_twenty()) is Choice.YES
    assert [(shown.ok, shown.not_ok, shown.cancel) for shown in pinentry.shown()] == [
        ("See all", "Accept", "Refuse"),
        ("Continue", "Decide", "Refuse"),
        ("See all", "Accept", "Refuse"),
    ]
