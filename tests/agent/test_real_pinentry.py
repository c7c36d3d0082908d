"""Debian's own pinentry-tty and pinentry-curses on a real terminal, as a person uses them."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from time import sleep

import pytest

from tests.rig.asking import CANCELLED, asking, pin_answer

PIN = "731942"


@dataclass(frozen=True, slots=True)
class Keys:
    """What is pressed in one program: letters of buttons, or the way to a button. ``three`` are once, always, no.

    What takes two dialogs has two items.
    """

    program: str
    cancel: str
    yes: str
    no: str
    three: tuple[Sequence[str], Sequence[str], Sequence[str]]


ENTER, END_OF_INPUT, TAB = "\r", "\x04", "\t"
TTY = Keys("pinentry-tty", END_OF_INPUT, "a", "r", (["a"], ["m"], ["r"]))
CURSES = Keys(
    "pinentry-curses",
    "73" + TAB + TAB + ENTER,
    TAB + ENTER,
    ENTER,
    ([TAB + ENTER, ENTER], [TAB + ENTER, TAB + ENTER], [ENTER]),
)
LAST_LINE = {"fr": "Cette fenêtre se ferme au bout de", "en": "This dialog closes after"}


@pytest.fixture(params=[TTY, CURSES], ids=lambda keys: keys.program)
def keys(request: pytest.FixtureRequest) -> Keys:
    keys: Keys = request.param
    if not shutil.which(keys.program):
        pytest.skip(f"{keys.program} is not installed")
    return keys


def test_the_typed_pin_arrives_and_is_never_shown(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program) as terminal:
        terminal.wait_for("Code porteur :")
        terminal.wait_until_silent()
        terminal.type(PIN + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())
        assert PIN.encode() not in terminal.raw
        assert not [digit for digit in "79" if digit in terminal.screen]  # the dialog's own text has neither
        assert terminal.restored


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        (
            "fr",
            (
                "« Cabinet Zoé & associés » demande d'ouvrir une session avec votre carte.",
                "Carte CPS3, lecteur « Lecteur №1 ».",
                "Essais restants : 2.",
                "Code faux. Essais restants : 2.",
                "Code porteur :",
            ),
        ),
        (
            "en",
            (
                "“Cabinet Zoé & associés” asks to open a session with your card.",
                "Card CPS3, reader “Lecteur №1”.",
                "Tries left: 2.",
                "Wrong code. Tries left: 2.",
                "PIN:",
            ),
        ),
    ],
)
def test_the_screen_names_program_card_reader_and_tries(keys: Keys, language: str, shown: tuple[str, ...]) -> None:
    with asking("pin", language, pinentry=keys.program, wrong_before=True) as terminal:
        for words in shown:
            terminal.wait_for(words)


def test_a_locale_that_this_machine_lacks_keeps_no_dialog_away(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program, locale="fr_XX.UTF-8") as terminal:
        terminal.wait_for("lecteur « Lecteur №1 »")


def test_a_pin_that_cannot_be_right_is_asked_again_and_never_shown(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program) as terminal:
        for impossible, shown in (("79x7", 1), ("797", 2)):
            terminal.wait_for("Code porteur :", shown)
            terminal.wait_until_silent()
            terminal.type(impossible + ENTER)
            terminal.wait_for("De 4 à 8 chiffres. Rien n'a été envoyé à la carte.", shown)
        terminal.wait_for("Code porteur :", 3)
        terminal.wait_until_silent()
        terminal.type(PIN + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())
        assert "79" not in terminal.screen


def test_what_is_typed_as_the_dialog_opens_is_not_taken_and_told(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program, armed_after=1) as terminal:
        terminal.wait_for("Code porteur :")
        terminal.type("7797" + ENTER)
        terminal.wait_for("Saisi pendant que cette fenêtre s'ouvrait")
        terminal.wait_for("Code porteur :", 2)
        sleep(1)
        terminal.type(PIN + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())


def test_a_yes_as_the_dialog_opens_is_told_and_the_reason_goes_with_it(keys: Keys) -> None:
    with asking("confirm", pinentry=keys.program, armed_after=1) as terminal:
        terminal.wait_for(LAST_LINE["fr"])
        terminal.type(keys.yes)
        terminal.wait_for("Répondu pendant que cette fenêtre s'ouvrait")
        terminal.wait_for(LAST_LINE["fr"], 2)
        sleep(1)
        terminal.type(keys.yes)
        assert terminal.end() == "yes"


def test_cancel_is_told(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program) as terminal:
        terminal.wait_for("Code porteur :")
        terminal.wait_until_silent()
        terminal.type(keys.cancel)
        assert terminal.end() == "pin.cancelled"
        assert terminal.restored


@pytest.mark.parametrize("kind", ["pin", "confirm"])
def test_control_c_ends_the_dialog_and_leaves_a_usable_terminal(keys: Keys, kind: str) -> None:
    with asking(kind, pinentry=keys.program) as terminal:
        terminal.wait_for(LAST_LINE["fr"])
        terminal.wait_until_silent()
        terminal.type("\x03")
        # the pinentry and the program that asks are both told, and either may be the first to act
        assert terminal.end() in (CANCELLED, "pin.cancelled", "no", "prompt.unavailable")
        assert terminal.restored


def test_a_question_that_is_withdrawn_leaves_a_usable_terminal(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program) as terminal:
        terminal.wait_for("Code porteur :")
        terminal.wait_until_silent()
        terminal.type("73")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == CANCELLED
        assert terminal.restored


def test_nobody_there_is_a_timeout(keys: Keys) -> None:
    with asking("pin", pinentry=keys.program, timeout=1) as terminal:
        assert terminal.end() == "pin.timeout"
        assert LAST_LINE["fr"] in terminal.screen
        assert terminal.restored


@pytest.mark.parametrize(("language", "answer"), [("fr", "yes"), ("en", "no")])
def test_a_signature_is_shown_and_accepted_or_refused(keys: Keys, language: str, answer: str) -> None:
    with asking("confirm", language, pinentry=keys.program) as terminal:
        for words in (
            "Cabinet Zoé & associés",
            "Compte rendu opératoire.pdf",
            "0123456789abcdef…",
            LAST_LINE[language],
        ):
            terminal.wait_for(words)
        terminal.wait_until_silent()
        terminal.type(keys.yes if answer == "yes" else keys.no)
        assert terminal.end() == answer


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(("place", "choice"), [(0, "yes"), (1, "always"), (2, "no")])
def test_each_of_three_buttons_can_be_chosen(keys: Keys, language: str, place: int, choice: str) -> None:
    # pinentry-tty takes the first letter of what is on the button
    dialogs = ["oar"[place]] if keys is TTY and language == "en" else keys.three[place]
    with asking("remember", language, pinentry=keys.program) as terminal:
        for number, pressed in enumerate(dialogs, 1):
            terminal.wait_for(LAST_LINE[language], number)
            terminal.wait_until_silent()
            terminal.type(pressed)
        assert terminal.end() == choice


@pytest.mark.parametrize("kind", ["confirm", "remember"])
def test_enter_agrees_to_nothing(keys: Keys, kind: str) -> None:
    waits_for_a_letter = keys is TTY
    with asking(kind, pinentry=keys.program, timeout=1 if waits_for_a_letter else 20) as terminal:
        terminal.wait_for(LAST_LINE["fr"])
        terminal.wait_until_silent()
        terminal.type(ENTER)
        assert terminal.end() == ("consent.timeout" if waits_for_a_letter else "no")


def test_a_notice_says_where_to_type_and_is_closed_by_a_key(keys: Keys) -> None:
    with asking("notice", pinentry=keys.program) as terminal:
        terminal.wait_for("Saisissez votre code porteur sur le clavier du lecteur « Lecteur №1 ».")
        terminal.wait_until_silent()
        terminal.type(ENTER)
        assert terminal.end() == "closed"
