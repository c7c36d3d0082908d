"""A sentence is told in the language of each call, from translations that are loaded when they are needed."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.mofile import write_mo

from cardd.i18n import N_, Domain, language_of


@pytest.fixture
def told(tmp_path: Path) -> Domain:
    """A domain with a small catalogue of its own."""
    catalog = Catalog("fr")
    catalog.mime_headers = [("Plural-Forms", "nplurals=2; plural=(n > 1)")]
    catalog.add("Service {name}", "Service « {name} »")
    catalog.add(("{number} card", "{number} cards"), ("{number} carte", "{number} cartes"))
    catalog.add("y", "o", context="yes")
    catalog.add("y", "u", context="this one")
    content = BytesIO()
    write_mo(content, catalog)
    file = tmp_path / "fr/LC_MESSAGES/trial.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(content.getvalue())
    return Domain("trial", tmp_path)


def test_each_call_chooses_its_language(told: Domain) -> None:
    assert told("Service {name}", "fr", name="cardd") == "Service « cardd »"
    assert told("Service {name}", "en", name="cardd") == "Service cardd"


def test_a_parameter_that_looks_like_a_place_is_shown_as_it_is(told: Domain) -> None:
    assert told("Service {name}", "fr", name="{name} {0} %s") == "Service « {name} {0} %s »"


def test_a_parameter_that_was_not_given_leaves_its_place_empty(told: Domain) -> None:
    assert told("Service {name}", "en") == "Service "


@pytest.mark.parametrize(
    ("number", "french", "english"),
    [(0, "0 carte", "0 cards"), (1, "1 carte", "1 card"), (2, "2 cartes", "2 cards")],
)
def test_each_language_has_its_own_plurals(told: Domain, number: int, french: str, english: str) -> None:
    assert told.plural("{number} card", "{number} cards", number, "fr") == french
    assert told.plural("{number} card", "{number} cards", number, "en") == english


def test_one_english_word_can_be_two_french_ones(told: Domain) -> None:
    assert (told.context("yes", "y", "fr"), told.context("this one", "y", "fr")) == ("o", "u")
    assert told.context("yes", "y", "en") == "y"


def test_what_is_marked_is_told_later(told: Domain) -> None:
    title = N_("Service {name}")

    assert told(title, "fr", name="x") == "Service « x »"


def test_a_sentence_of_somebody_else_stays_as_it_is(told: Domain) -> None:
    assert (told("Unheard of", "fr"), told("", "fr")) == ("Unheard of", "")


def test_nothing_is_loaded_before_the_first_text() -> None:
    code = "import sys, cardd.i18n, cardd.errors; cardd.i18n.Domain('errors'); sys.exit('gettext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


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
