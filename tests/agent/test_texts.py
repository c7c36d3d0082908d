"""The words of every dialog: whole once they are filled, in both languages, and no longer than a dialog can show."""

from __future__ import annotations

import re

import pytest

from cardd.agent.assuan import LINE_MAX
from cardd.agent.sentences import QUESTIONS
from cardd.agent.texts import BUTTONS, RUN_MAX, Words, confirm_words, keyed_words, pin_words, with_buttons
from cardd.i18n import LANGUAGES
from cardd.model import Choice, PinQuestion, PinRole, Question
from cardd.values import replace
from tests.agent.dialogs import PARAMS, every_dialog, question
from tests.agent.questions import PIN

EMPTY = re.compile(r"«\s*»|“\s*”|''|\"\"|\(\s*\)|[{}]|None")


def test_every_topic_of_a_dialog_is_tried_here() -> None:
    assert {*QUESTIONS, "sign_batch"} == PARAMS.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_dialog_is_whole(language: str) -> None:
    for words in every_dialog(language):
        assert words.title
        assert words.description
        for name in Words.__struct_fields__:
            shown = getattr(words, name)
            assert not EMPTY.search(shown), shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_buttons_of_a_dialog_begin_with_different_letters(language: str) -> None:
    """pinentry-tty takes the first letter for the button."""
    for words in every_dialog(language):
        buttons = {label for label in (words.ok, words.not_ok, words.cancel) if label}
        assert len({label[0].lower() for label in buttons}) == len(buttons), buttons


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["L", "é", "Ж", "€", "漢", "\N{GRINNING FACE}", "%", "« »", "l l"])
def test_no_name_is_so_long_that_a_dialog_loses_its_end(language: str, name: str) -> None:
    for words in every_dialog(language, name * 3000, problems=[None]):  # what went wrong is a line of its own
        escaped = words.description.replace("%", "%25").replace("\n", "%0A")
        assert len(f"SETDESC {escaped}".encode()) < LINE_MAX


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pairing_shows_its_code_and_warnings_whatever_the_names(language: str) -> None:
    plain = question("pair", "L", language)
    asked = replace(plain, params={**plain.params, **dict.fromkeys(("name", "vendor", "program"), "Ж" * 300)})
    asked.params["code"] = "402817"
    own = confirm_words(plain, language, 120).description.splitlines()
    shown = confirm_words(asked, language, 120).description
    assert "402817" in shown
    assert shown.splitlines()[-4:] == own[-4:]  # three warnings, and when it closes


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_so_long_that_its_end_is_beside_the_screen(language: str) -> None:
    """GTK's and Qt's windows break a line at a space, and not in an origin, a path or a file's name."""
    for words in every_dialog(language, "https://www.dmp.example." + "a" * 3000):
        assert max(map(len, re.split(r"[\s…]", words.description))) <= RUN_MAX
    whole = "https://" + ".".join(["a" * 60] * 3) + ".mechant.example:65535"
    plain = question("origin", None, language)
    shown = confirm_words(replace(plain, params={**plain.params, "origin": whole}), language, 120).description
    assert whole in shown.replace("\n", "")
    assert ".mechant.example:65535" in shown


def test_a_long_name_keeps_both_its_ends() -> None:
    origin = "https://www.dmp.example." + "a" * 3000 + ".mechant.example"
    for words in every_dialog("fr", origin, problems=[None]):
        assert "https://www.dmp.example." in words.description
        assert ".mechant.example" in words.description


def test_a_pin_of_one_length_and_one_signature_are_told_in_the_singular() -> None:
    four = replace(PIN, maximum=4)
    asked = PinQuestion(question("login"), four, "Lecteur A", "cps3", 3, None, PinRole.NEW)
    assert "The new PIN has 4 digits." in pin_words(asked, "en", 60).description
    assert pin_words(asked, "fr", 60, format_error=True).error.startswith("4 chiffres.")
    one = Question("sign_batch", 4242, {**PARAMS["sign_batch"], "count": 1})
    assert "asks for 1 signature." in confirm_words(one, "en", 60).description


def test_a_wrong_code_whose_tries_are_not_known_is_told_without_them() -> None:
    asked = PinQuestion(question("pin_unblock"), PIN, "Lecteur A", "pkcs11", None, "wrong", PinRole.PUK)
    assert pin_words(asked, "en", 60).error == "Wrong code."


@pytest.mark.parametrize("third", [None, Choice.ALWAYS, Choice.AGAIN, Choice.ANOTHER])
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_answer_on_a_terminal_has_a_key_of_its_own(language: str, third: Choice | None) -> None:
    shown = [keyed_words(button, language) for button in BUTTONS[third]]
    first, *_, last = BUTTONS[third]
    words = with_buttons(Words("", ""), language, first, None, last)
    assert words.ok
    assert words.cancel
    assert all(re.match(r"\[[a-z]\] \w", told) for told in shown), shown
    assert len({told[1] for told in shown}) == len(shown)
