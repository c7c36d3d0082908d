"""The sentences that people read: there in both languages, with the same places, and whole once they are filled."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

import cardd.i18n
from cardd.agent.assuan import LINE_MAX
from cardd.agent.texts import BUTTONS, QUESTIONS, Words, confirm_words, keyed_words, pin_words
from cardd.i18n import LANGUAGES, catalogue, fill, language_of, text
from cardd.model import Choice, PinQuestion, PinRole, Question
from tests.agent.dialogs import PARAMS, PIN, every_dialog, question

DOMAINS = sorted(file.stem for file in Path(cardd.i18n.__file__).parent.glob("fr/[!_]*.py"))
PLACE = re.compile(r"\{(\w*)\}")
EMPTY = re.compile(r"«\s*»|“\s*”|''|\"\"|\(\s*\)|[{}]|None")


def places(sentence: str) -> list[str]:
    return sorted(set(PLACE.findall(sentence)))


def test_both_languages_have_the_same_catalogues() -> None:
    english = sorted(file.stem for file in Path(cardd.i18n.__file__).parent.glob("en/[!_]*.py"))
    assert english == DOMAINS


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_text_is_in_both_languages_with_the_same_places(domain: str) -> None:
    french, english = catalogue(domain, "fr"), catalogue(domain, "en")
    assert french.keys() == english.keys()
    assert {key: places(french[key]) for key in french} == {key: places(english[key]) for key in english}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_no_text_is_empty_or_has_a_place_that_nothing_can_fill(domain: str, language: str) -> None:
    for key, sentence in catalogue(domain, language).items():
        assert sentence.strip(), key
        assert not re.search(r"[{}]", PLACE.sub("", sentence)), key
        assert "" not in places(sentence), key
        assert not re.search(r" {2}|\t", sentence), key


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_key_is_found_by_its_name_alone(domain: str) -> None:
    for language in LANGUAGES:
        for key, sentence in catalogue(domain, language).items():
            assert text(key, language) == fill(sentence)


def test_every_topic_of_a_dialog_is_tried_here() -> None:
    assert {*QUESTIONS, "sign_batch"} == PARAMS.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_dialog_is_whole(language: str) -> None:
    for words in every_dialog(language):
        assert words.title
        assert words.description
        assert words.ok
        assert words.cancel
        for field in fields(Words):
            shown = getattr(words, field.name)
            assert not EMPTY.search(shown), shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_buttons_of_a_dialog_begin_with_different_letters(language: str) -> None:
    """pinentry-tty takes the first letter for the button."""
    for words in every_dialog(language):
        buttons = {label for label in (words.ok, words.not_ok, words.cancel) if label}
        assert len({label[0].lower() for label in buttons}) == len(buttons), buttons


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["L", "é", "€", "\N{GRINNING FACE}", "%", "« »", "l l"])
def test_no_name_is_so_long_that_a_dialog_loses_its_end(language: str, name: str) -> None:
    for words in every_dialog(language, name * 3000):
        escaped = words.description.replace("%", "%25").replace("\n", "%0A")
        assert len(f"SETDESC {escaped}".encode()) < LINE_MAX


def test_a_long_name_keeps_both_its_ends() -> None:
    origin = "https://www.dmp.example." + "a" * 3000 + ".mechant.example"
    for words in every_dialog("fr", origin):
        assert "https://www.dmp.example." in words.description
        assert ".mechant.example" in words.description


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (None, "fr"),
        ("", "fr"),
        ("C.UTF-8", "fr"),
        ("de_DE.UTF-8", "fr"),
        ("en", "en"),
        ("EN", "en"),
        ("en_GB.UTF-8", "en"),
        ("fr_FR@euro", "fr"),
        ("en-US,fr;q=0.8", "en"),
        ("fr;q=0.4, en;q=0.5", "en"),
        ("de, en;q=0.5", "en"),
        ("en;q=0, fr;q=0.1", "fr"),
        ("en;q=0", "fr"),
        ("en; q=many", "en"),
        ("en;q=1.2.3", "fr"),
        ("english", "fr"),
        (",;q=", "fr"),
        ("{0}", "fr"),
        ("x," * 1000 + "en", "fr"),
    ],
)
def test_the_language_is_chosen_from_a_locale_or_a_header(wanted: str | None, language: str) -> None:
    assert language_of(wanted) == language


def test_a_parameter_that_looks_like_a_place_is_shown_as_it_is() -> None:
    assert fill("« {client} »", client="{client} {0} %s") == "« {client} {0} %s »"


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
    assert all(re.match(r"\[[a-z]\] \w", told) for told in shown), shown
    assert len({told[1] for told in shown}) == len(shown)
