"""French where the locale is French, English elsewhere; the same texts in both."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cardd.cli.cardctl import COMMANDS, main
from cardd.cli.doctor import CHECKS
from cardd.i18n import catalogue
from tests.cli.station import User

PLACE = re.compile(r"\{\w+\}")


@pytest.mark.parametrize(
    ("locale", "word"),
    [("fr_FR.UTF-8", "commandes"), ("fr_BE", "commandes"), ("en_GB.UTF-8", "commands"), ("C.UTF-8", "commands")],
)
def test_the_locale_chooses_the_language(stranger: User, locale: str, word: str) -> None:
    assert f"{word}:" in replace(stranger, locale=locale).ok("--help")


def test_lang_chooses_it_over_the_locale(stranger: User) -> None:
    assert "commandes:" in stranger.ok("--help", "--lang", "fr")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sign",), "il manque FICHIER"),
        (("status", "--loud"), "incompris : --loud"),
        (("bogus",), "'bogus'"),
        (("audit", "tail", "-n", "many"), "'many'"),
        (("sign", "x", "--output"), "n'a pas sa valeur"),
        (("status", "--socket", "x", "--url", "y"), "s'excluent"),
    ],
)
def test_a_wrong_command_is_told_in_french(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "fr", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert told in said.replace("\N{NO-BREAK SPACE}", " ")
    assert "argument " not in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help_in_both_languages(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for language in ("en", "fr"):
        with pytest.raises(SystemExit):
            main([command, "--help", "--lang", language])
        told.append(capsys.readouterr().out)
    assert "options:" in told[0]
    assert told[0] != told[1]


@pytest.mark.parametrize("domain", ["doctor"])
def test_both_catalogues_have_the_same_texts_with_the_same_places(domain: str) -> None:
    french, english = catalogue(domain, "fr"), catalogue(domain, "en")
    assert french.keys() == english.keys()
    for key, text in french.items():
        assert set(PLACE.findall(text)) == set(PLACE.findall(english[key])), key


def test_every_check_has_a_title_and_what_is_wrong_has_a_remedy() -> None:
    texts = catalogue("doctor", "fr")
    assert all(f"doctor.{check}.title" in texts for check in CHECKS)
    fine = (".title", ".remedy", ".ok", ".ours", ".empty", ".plausible", ".not_kept")
    for key in texts:
        if not key.endswith(fine) and ".skipped." not in key:
            assert f"{key}.remedy" in texts, key


def test_colour_is_for_terminals(stranger: User) -> None:
    assert "\x1b" not in stranger.run("doctor", "config").out
