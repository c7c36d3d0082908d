"""The French that people read: the trade's words, one word for one thing, and its own marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from cardd.i18n import LOCALE, Domain
from tests.rig.in_context import in_context

CATALOGUES = sorted((LOCALE / "fr/LC_MESSAGES").glob("*.po"))

# what was found in the catalogues once, and what is said instead
WORDS = {
    r"’": "the apostrophe is '",
    r"\bla socket\b|\bune socket\b": "le socket",
    r"\b[Tt]itulaire\b": "le porteur d'une carte",
    r"\b[Oo]rganisation\b(?!=)": "la structure",
    r"\bdialogue": "la fenêtre",
    r"\bdit-il\b": "date déclarée",
    r"\bsauté": "ignoré",
    r"\bEXAMEN\b": "CONTRÔLE",
    r"\bincompris\b": "non reconnu",
    r"\b[Pp]asse la limite": "dépasse la limite",
    r"\bnon prouvé\b": "non authentifié",
    r"\bpérimée?s?\b": "trop ancien",
    r"\birrecevable": "illisible",
    r"\bl'e-CPS|\bd'e-CPS": "la e-CPS",
    r"\bthe\b|\bexpected\b(?!})|No such file|\binstance of\b": "French, and no English",
}


def sentences(catalogue: Path) -> Iterator[str]:
    with catalogue.open("rb") as file:
        for message in read_po(file):
            if message.id:
                yield from [message.string] if isinstance(message.string, str) else message.string or ()


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda catalogue: catalogue.stem)
def test_french_sentences_keep_to_the_trades_words(catalogue: Path) -> None:
    wrong = [
        (sentence, better)
        for sentence in sentences(catalogue)
        for word, better in WORDS.items()
        if re.search(word, sentence)
    ]
    assert wrong == []


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda catalogue: catalogue.stem)
def test_french_marks_have_their_space_and_guillemets_theirs(catalogue: Path) -> None:
    crowded = re.compile(r"[\wéà»\)][;!?](?=\s|$)|[^\W\d]«|«(?! )|(?<! )»")
    assert [sentence for sentence in sentences(catalogue) if crowded.search(sentence)] == []


def test_what_is_told_has_a_narrow_space_that_no_line_breaks_at_before_its_marks() -> None:
    """Translators type a plain one; ``texts.py compile`` sets it."""
    plain = re.compile("[ \N{NO-BREAK SPACE}][;:!?](?=\\s|$)")
    told = [(where, text) for where, text in in_context("fr") if not where.startswith("dialog")]
    assert [(where, text) for where, text in told if plain.search(text)] == []
    assert sum("\N{NARROW NO-BREAK SPACE}" in text for _, text in told) > 50
    assert (
        Domain("cli")("Wrong command: {why}. See “{command} --help”.", "fr", why="x", command="y").count("\u202f:") == 1
    )
    commands = Domain("doctor")(
        "Stop that program (“ss -ltnp sport = :{port}” shows it to root), then restart cardd.socket.", "fr", port=1
    )
    assert "sport = :1" in commands  # typed as it stands


def test_no_dialog_error_or_help_has_english_or_an_empty_place_in_its_french() -> None:
    """What ``make texts`` writes for a reader's eye: each text whole, with what is filled in."""
    told = list(in_context("fr"))
    wrong = [
        (where, found[0])
        for where, text in told
        for word in (*WORDS, r"^(usage: (?!card)|options:|positional|show this)", r"\{\w+\}")
        if (found := re.search(word, text, re.MULTILINE))
    ]
    assert wrong == []
    assert {where.partition(" ")[0] for where, _ in told} == {"dialog", "error", "help"}
    assert len(told) > 300
