"""The program that keeps the .po files finds each sentence of the code, and what a translator has left open."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.rules import ROOT

OTHER = "not what the code asks for"
HEADER = """msgid ""
msgstr ""
"Language: fr\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"
"""


class Checkout:
    """A repository with one module of texts, and the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".make").mkdir()
        shutil.copy(ROOT / ".make/texts.py", folder / ".make")
        (folder / "cardd/cli").mkdir(parents=True)
        self.po = folder / "cardd/i18n/locale/fr/LC_MESSAGES/cli.po"
        self.po.parent.mkdir(parents=True)

    def says(self, *calls: str) -> None:
        """Write the module with these calls."""
        lines = ("from cardd.i18n import Domain, N_", '_ = Domain("cli")', *calls, "")
        (self.folder / "cardd/cli/module.py").write_text("\n".join(lines))

    def has(self, *entries: str) -> None:
        """Write the .po file with these entries of the module."""
        self.po.write_text("\n".join((HEADER, *(f"#: cardd/cli/module.py\n{entry}\n" for entry in entries), "")))

    def run(self, order: str) -> str:
        """Return what the program complains of."""
        program = [sys.executable, str(self.folder / ".make/texts.py"), order]
        return subprocess.run(program, capture_output=True, text=True, check=False).stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_way_to_mark_a_sentence_is_found(checkout: Checkout) -> None:
    checkout.says(
        'TITLE = N_("Marked")',
        'print(_("Outer {why}", language, why=f"{x}".join(_("inner", language))))',
        'print(_.plural("{number} card", "{number} cards", 2, language))',
        'print(_.context("key", "y", language))',
        "print(_(TITLE, language), _(error.title, language))",
        'print("not marked")',
    )

    assert checkout.run("update") == ""
    found = [line for line in checkout.po.read_text().splitlines() if line.startswith(("msgid", "msgctxt"))]
    assert found == [
        'msgid ""',
        'msgid "Marked"',
        'msgid "Outer {why}"',
        'msgid "inner"',
        'msgid "{number} card"',
        'msgid_plural "{number} cards"',
        'msgctxt "key"',
        'msgid "y"',
    ]


def test_a_whole_translation_passes_and_is_left_alone(checkout: Checkout) -> None:
    checkout.says('_("Card", language)')
    checkout.has('msgid "Card"\nmsgstr "Carte"')
    before = checkout.po.read_text()

    assert checkout.run("check") == ""
    assert checkout.run("update") == ""
    assert checkout.po.read_text() == before


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        (['msgid "Card"\nmsgstr ""'], "untranslated: 'Card'"),
        (['#, fuzzy\nmsgid "Card"\nmsgstr "Cartes"'], "fuzzy: 'Card'"),
        (['msgid "Card"\nmsgstr "Carte {name}"'], "has not the {places} of its sentence: 'Card'"),
        (['msgid "Card"\nmsgstr "Carte"', 'msgid "Reader"\nmsgstr "Lecteur"'], OTHER),
        (['msgid "Card"\nmsgstr "Carte"', '#~ msgid "Gone"\n#~ msgstr "Perdu"'], OTHER),
        ([], OTHER),
    ],
    ids=["untranslated", "fuzzy", "places", "not in the code", "obsolete", "missing"],
)
def test_what_is_open_or_out_of_step_is_refused(checkout: Checkout, entries: list[str], complaint: str) -> None:
    checkout.says('_("Card", language)')
    checkout.has(*entries)

    assert complaint in checkout.run("check")


@pytest.mark.parametrize("call", ['_("a" if few else "b", language)', '_(f"Card {name}", language)', 'N_("a" + b)'])
def test_a_sentence_that_nobody_could_translate_is_refused(checkout: Checkout, call: str) -> None:
    checkout.says(call)

    assert "module.py:3: what is marked here is no literal" in checkout.run("update")


@pytest.mark.parametrize("given", ["", ", nam=1", ", name=1, more=2"])
def test_a_call_that_does_not_fill_the_places_is_refused(checkout: Checkout, given: str) -> None:
    checkout.says(f'_("Card {{name}}", language{given})')

    assert "module.py:3: 'Card {name}' has other places than are filled" in checkout.run("update")


def test_texts_without_a_po_file_are_refused(checkout: Checkout) -> None:
    checkout.says('_("Card", language)')

    assert "cli: has texts or a .po file, not both" in checkout.run("check")
