"""The rule about French spaces finds what is wrong, and leaves what is typed as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.french import NARROW, french_pages_have_their_spaces, typeset

PAGE = Path("docs/fr/page.md")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Il dit : non ; vraiment ?", "Il dit_: non_; vraiment_?"),
        ("Il dit: non", "Il dit_: non"),
        ("« Valider » et «Annuler»", "«_Valider_» et «_Annuler_»"),
        ("**Oui** : non", "**Oui**_: non"),
        ("| colonne : a | b |\n|---|:--|", "| colonne_: a | b |\n|---|:--|"),
        ("[page](a.md) : suite", "[page](a.md)_: suite"),
    ],
)
def test_a_wrong_or_missing_space_is_found(text: str, printed: str) -> None:
    assert typeset(text) == printed.replace("_", NARROW)
    assert (list(french_pages_have_their_spaces({PAGE: text})) == []) is (text == typeset(text))


@pytest.mark.parametrize(
    "text",
    [
        "`a : b` et ``x ; y``",
        "```sh\necho a ; echo b : « c »\n```",
        "http://127.0.0.1:17463/v1 et <https://a.example/?b>",
        "[titre](page.md#a?b)",
        "à 12:30, unix:path=/run",
    ],
)
def test_what_is_typed_as_it_stands_is_left(text: str) -> None:
    assert typeset(text) == text
