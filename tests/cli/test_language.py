"""French where the locale is French, English elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cardd.cli import agent, cardd
from cardd.cli.cardctl import COMMANDS, main
from tests.cli.station import User


@pytest.mark.parametrize(
    ("locale", "word"),
    [("fr_FR.UTF-8", "commandes"), ("fr_BE", "commandes"), ("en_GB.UTF-8", "commands"), ("C.UTF-8", "commands")],
)
def test_the_locale_chooses_the_language(stranger: User, locale: str, word: str) -> None:
    colon = "\N{NARROW NO-BREAK SPACE}:" if word == "commandes" else ":"
    assert f"{word}{colon}" in replace(stranger, locale=locale).ok("--help")


def test_lang_chooses_it_over_the_locale(stranger: User) -> None:
    assert "commandes\N{NARROW NO-BREAK SPACE}:" in stranger.ok("--help", "--lang", "fr")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sign",), "il manque FICHIER"),
        (("status", "--loud"), "non reconnu : --loud"),
        (("bogus",), "'bogus'"),
        (("audit", "tail", "-n", "many"), "'many'"),
        (("sign", "x", "--output"), "n'a pas sa valeur"),
        (("status", "--socket", "x", "--url", "y"), "s'excluent"),
        (("status", "--json=yes"), "ne prend pas de valeur"),
    ],
)
def test_a_wrong_command_is_told_in_french(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "fr", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert told in said.replace("\N{NARROW NO-BREAK SPACE}", " ")
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


def test_colour_is_for_terminals(stranger: User) -> None:
    assert "\x1b" not in stranger.run("doctor", "config").out


def test_what_the_system_says_of_a_file_is_told_in_french_too(stranger: User) -> None:
    assert "ce fichier ou ce dossier n'existe pas" in stranger.run("verify", "/nowhere/x.pdf", "--lang", "fr").err


def test_the_agent_and_the_daemon_have_their_help_in_the_language_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    for program in (agent.main, cardd.main):
        with pytest.raises(SystemExit):
            program(["--help"])
        assert "affiche cette aide" in capsys.readouterr().out
