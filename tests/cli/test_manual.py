"""The man pages and the completions that `make man` makes of the parsers, judged by mandoc and by the shells."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cardd.cli.cardctl import COMMANDS, command_line
from cardd.cli.parser import Exit
from cardd.config.reference import keys
from tests.repository.rules import ROOT

PROGRAMS = ("cardd", "cardctl", "cardd-agent")
LANGUAGES = {"en": "man", "fr": "man/fr"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("manual")
    for script in ("man", "completions"):
        subprocess.run([sys.executable, str(ROOT / f".make/{script}.py"), str(where / script)], check=True)
    return where


def page(made: Path, language: str, name: str, section: int = 1) -> str:
    text = (made / LANGUAGES[language] / f"man{section}" / f"{name}.{section}").read_text()
    return text.replace("\\-", "-").replace("\\e", "\\")


def completed(shell: str, script: str) -> list[str]:
    return subprocess.run([shell, "-c", script], check=True, capture_output=True, text=True).stdout.split()


def in_bash(made: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words."""
    line = " ".join(f"'{word}'" for word in words)
    return set(
        completed(
            "bash",
            f". {made}/completions/bash/{words[0]}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
            f'_{words[0]}; printf "%s\\n" "${{COMPREPLY[@]}}"',
        )
    )


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_mandoc_finds_no_fault_in_any_page(made: Path) -> None:
    pages = sorted((made / "man").rglob("*.[15]"))
    assert len(pages) == 2 * (len(PROGRAMS) + 1)
    told = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_cardctl_has_every_command_and_every_status(made: Path, language: str) -> None:
    text = page(made, language, "cardctl")
    assert {found.split()[0] for found in re.findall(r"^\.SS cardctl (.*)$", text, re.MULTILINE)} == set(COMMANDS)
    assert [int(found) for found in re.findall(r"^\.B (\d+)$", text, re.MULTILINE)] == [status.value for status in Exit]


def test_each_page_is_told_in_its_language(made: Path) -> None:
    assert "\nsign files with your card" in page(made, "en", "cardctl").lower()
    assert "\nsigne des fichiers avec votre carte" in page(made, "fr", "cardctl").lower()
    assert "ouverte" not in re.findall(r"^\.SS cardctl (\w+)", page(made, "fr", "cardctl"), re.MULTILINE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_the_configuration_has_every_key(made: Path, language: str) -> None:
    text = page(made, language, "cardd.toml", 5)
    section, found = "", []
    for line in text.splitlines():
        if line.startswith(".SH ["):
            section = line[5:-1]
        elif line.startswith(".B "):
            found.append(f"{section}.{line[3:]}")
    assert found == [key.name for key in keys()]


def test_bash_completes_commands_options_and_values(made: Path) -> None:
    assert in_bash(made, "cardctl", "si") == {"sign", "simulate"}
    assert in_bash(made, "cardctl", "--lang", "fr", "pin", "") == {"status", "change", "unblock"}
    assert in_bash(made, "cardctl", "sign", "--form") == {"--format"}
    assert "pades" in in_bash(made, "cardctl", "sign", "--format", "")
    assert in_bash(made, "cardd", "") == {"run"}


def test_bash_takes_the_value_of_an_option_for_no_command(made: Path) -> None:
    assert "status" in in_bash(made, "cardctl", "--socket", "audit", "")
    assert in_bash(made, "cardctl", "--socket", "audit", "audit", "ta") == {"tail"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_read_theirs(made: Path, shell: str) -> None:
    files = sorted((made / "completions" / shell).iterdir())
    assert len(files) == len(PROGRAMS)
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    for file in files:
        subprocess.run([shell, "-n", file], check=True)


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_tells_what_each_is_in_the_language_of_the_locale(made: Path) -> None:
    script = f"source {made}/completions/fish/cardctl.fish; complete -C 'cardctl log'"
    assert "ouvre" in completed("fish", f"set -x LC_ALL fr_FR.UTF-8; {script}")
    assert "open" in completed("fish", f"set -x LC_ALL C.UTF-8; {script}")


def test_a_commands_name_is_no_word_to_translate() -> None:
    told = command_line("fr", []).format_help()
    assert re.search(r"^    open {2,}", told, re.MULTILINE)
