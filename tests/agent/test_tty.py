"""Dialogs on the bare terminal, where no pinentry is installed."""

from __future__ import annotations

import signal
from time import sleep

import pytest

from tests.rig.asking import BEHIND, CANCELLED, SENT_BEHIND, asking, pin_answer
from tests.rig.terminal import Terminal

PIN = "731942"
ENTER, END_OF_INPUT, CONTROL_C, STOP, CONTROL_Z = "\r", "\x04", "\x03", "\x13", "\x1a"
PROMPT = {"fr": "Code porteur :", "en": "PIN:"}
HINT = {
    "fr": "De 4 à 8 chiffres. Rien n'a été envoyé à la carte.",
    "en": "4 to 8 digits. Nothing was sent to the card.",
}
BUTTONS = {"fr": "[o] Accepter, [n] Refuser : ", "en": "[y] Accept, [n] Refuse: "}
ONCE = {
    "fr": "[o] Accepter une fois, [m] Mémoriser, [n] Refuser : ",
    "en": "[y] Only this once, [a] Accept and remember, [n] Refuse: ",
}


def wait_for_prompt(terminal: Terminal, language: str = "fr", times: int = 1) -> None:
    terminal.wait_for(PROMPT[language], times)
    terminal.wait_until_silent()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_typed_pin_arrives_and_is_never_shown(language: str) -> None:
    with asking("pin", language) as terminal:
        wait_for_prompt(terminal, language)
        terminal.type(PIN + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())
        assert "73" not in terminal.screen
        assert terminal.restored


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        (
            "fr",
            [
                "cardd – carte de professionnel de santé",
                "« Cabinet Zoé & associés » demande d'ouvrir une session avec votre carte.",
                "Carte CPS3, lecteur « Lecteur №1 ».",
                "Essais restants : 2.",
                "Cette fenêtre se ferme au bout de 60 s.",
                "Code faux. Essais restants : 2.",
                "Code porteur :",
            ],
        ),
        (
            "en",
            [
                "cardd – health professional's card",
                "“Cabinet Zoé & associés” asks to open a session with your card.",
                "Card CPS3, reader “Lecteur №1”.",
                "Tries left: 2.",
                "This dialog closes after 60 s.",
                "Wrong code. Tries left: 2.",
                "PIN:",
            ],
        ),
    ],
)
def test_the_lines_name_program_card_reader_and_tries(language: str, shown: list[str]) -> None:
    with asking("pin", language, wrong_before=True) as terminal:
        wait_for_prompt(terminal, language)
        assert list(filter(None, terminal.screen.splitlines())) == shown


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_pin_that_cannot_be_right_is_asked_again_with_the_hint(language: str) -> None:
    with asking("pin", language) as terminal:
        for number, impossible in enumerate(("731", "731942731", "73a9"), 1):
            wait_for_prompt(terminal, language, number)
            terminal.type(impossible + ENTER)
            terminal.wait_for(HINT[language], number)
        wait_for_prompt(terminal, language, 4)
        terminal.type(PIN + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())
        assert "73" not in terminal.screen
        assert terminal.restored


@pytest.mark.parametrize(
    ("kind", "typed", "prompt", "why", "answer"),
    [
        ("pin", PIN, PROMPT["fr"], "Saisi pendant que cette fenêtre s'ouvrait", pin_answer(PIN.encode())),
        ("confirm", "o", BUTTONS["fr"], "Répondu pendant que cette fenêtre s'ouvrait", "yes"),
    ],
    ids=["pin", "yes"],
)
def test_what_is_typed_as_the_question_comes_is_not_taken(
    kind: str, typed: str, prompt: str, why: str, answer: str
) -> None:
    with asking(kind, armed_after=1) as terminal:
        terminal.wait_for(prompt)
        terminal.type(typed + ENTER)
        terminal.wait_for(why)
        terminal.wait_for(prompt, 2)
        sleep(1)
        terminal.type(typed + ENTER)
        assert terminal.end() == answer
        assert "73" not in terminal.screen


@pytest.mark.parametrize("typed", [ENTER, END_OF_INPUT])
def test_an_empty_line_cancels(typed: str) -> None:
    with asking("pin") as terminal:
        wait_for_prompt(terminal)
        terminal.type(typed)
        assert terminal.end() == "pin.cancelled"
        assert terminal.restored


def test_what_is_erased_while_typing_does_not_count() -> None:
    with asking("pin") as terminal:
        wait_for_prompt(terminal)
        terminal.type("99\x15" + PIN + "9\x7f" + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())


def test_a_terminal_that_was_stopped_stops_nobody_else() -> None:
    with asking("pin") as terminal:
        wait_for_prompt(terminal)
        terminal.type(STOP + PIN + ENTER)
        assert terminal.end() == pin_answer(PIN.encode())


@pytest.mark.parametrize("kind", ["pin", "confirm"])
def test_a_question_that_cannot_be_shown_ends_in_its_time(kind: str) -> None:
    with asking(kind, timeout=2) as terminal:
        terminal.wait_for("se ferme au bout de 2 s.")
        if kind == "pin":
            terminal.wait_until_silent()
        terminal.type(STOP + "73" + ENTER)  # no PIN, and no; a PIN is asked anew
        assert terminal.end() == ("pin.timeout" if kind == "pin" else "no")


@pytest.mark.parametrize(("kind", "code"), [("pin", "pin.timeout"), ("confirm", "consent.timeout")])
def test_a_line_that_is_never_ended_is_a_timeout(kind: str, code: str) -> None:
    with asking(kind, timeout=1) as terminal:
        terminal.wait_for("se ferme au bout de 1 s.")
        terminal.type("73")
        assert terminal.end() == code
        assert terminal.restored


@pytest.mark.parametrize("end", [CONTROL_C, signal.SIGTERM])
def test_a_question_that_is_cancelled_gives_the_echo_back(end: str | signal.Signals) -> None:
    with asking("pin") as terminal:
        wait_for_prompt(terminal)
        terminal.type("73")
        if isinstance(end, str):
            terminal.type(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.end() == CANCELLED
        assert terminal.restored


@pytest.mark.parametrize(
    ("language", "typed", "answer"),
    [
        ("fr", "o", "yes"),
        ("fr", "OUI", "yes"),
        ("fr", "y", "no"),
        ("fr", "", "no"),
        ("en", "Yes", "yes"),
        ("en", "o", "no"),
    ],
)
def test_yes_is_its_first_letter_and_all_else_is_no(language: str, typed: str, answer: str) -> None:
    with asking("confirm", language) as terminal:
        terminal.wait_for("Compte rendu opératoire.pdf")
        terminal.wait_for(BUTTONS[language])
        terminal.type(typed + ENTER)
        assert terminal.end() == answer


@pytest.mark.parametrize(
    ("language", "letter", "answer"),
    [("fr", "o", "yes"), ("fr", "m", "always"), ("fr", "n", "no"), ("en", "y", "yes"), ("en", "a", "always")],
)
def test_each_of_three_answers_has_its_letter(language: str, letter: str, answer: str) -> None:
    with asking("remember", language) as terminal:
        terminal.wait_for(ONCE[language])
        terminal.type(letter + ENTER)
        assert terminal.end() == answer


@pytest.mark.parametrize(
    ("kind", "before", "last_words", "typed", "answer"),
    [("pin", "99999", PROMPT["fr"], PIN, pin_answer(PIN.encode())), ("confirm", "oui", BUTTONS["fr"], "non", "no")],
)
def test_what_was_typed_before_the_question_answers_nothing(
    kind: str, before: str, last_words: str, typed: str, answer: str
) -> None:
    with asking(kind) as terminal:
        terminal.type(before + ENTER)
        terminal.wait_for(last_words)
        terminal.type(typed + ENTER)
        assert terminal.end() == answer


def test_a_window_that_is_closed_meanwhile_is_told() -> None:
    with asking("pin") as terminal:
        wait_for_prompt(terminal)
        terminal.hang_up()
        assert terminal.end() == "prompt.unavailable"


def test_a_notice_is_shown_and_waits_for_nothing() -> None:
    with asking("notice") as terminal:
        assert terminal.end() == "closed"
        terminal.wait_for("Saisissez votre code porteur sur le clavier du lecteur « Lecteur №1 ».")


@pytest.mark.parametrize("kind", ["pin", "confirm", "notice"])
def test_without_a_terminal_nobody_can_be_asked(kind: str) -> None:
    with asking(kind, controlling=False) as terminal:
        assert terminal.end() == "prompt.unavailable"
        assert terminal.raw == b""


@pytest.mark.parametrize("kind", ["pin", "confirm", "notice"])
def test_a_question_of_a_program_in_the_background_of_its_terminal_does_not_stop_it(kind: str) -> None:
    with asking(kind, job=BEHIND) as terminal:
        assert terminal.end() in ("prompt.unavailable", "closed")
        assert terminal.restored


@pytest.mark.parametrize(
    ("kind", "typed", "answer"),
    [
        ("pin", "", "pin.timeout"),
        ("confirm", "", "consent.timeout"),
        ("pin", ENTER, "prompt.unavailable"),
        ("confirm", ENTER, "prompt.unavailable"),
    ],
)
def test_a_question_that_is_sent_to_the_background_does_not_stop_its_program(
    kind: str, typed: str, answer: str
) -> None:
    with asking(kind, timeout=2, job=SENT_BEHIND) as terminal:
        terminal.wait_for("se ferme au bout de 2 s.")
        if kind == "pin":
            terminal.wait_until_silent()
        terminal.type(CONTROL_Z)
        terminal.wait_until_left()
        terminal.type(typed)  # to the shell
        told, _, of_job = terminal.end().partition("\n")
        assert told == answer
        assert "Done" in of_job
