"""The pages say what the program does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cardd.cli.cardctl import COMMANDS, command_line
from cardd.cli.doctor import CHECKS
from cardd.cli.failures import exit_of
from cardd.cli.parser import Exit
from cardd.errors import CardAmbiguous, CarddError, every_error

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cardctl.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_table_of_exit_statuses_is_the_programs() -> None:
    table = {int(number): name for number, name in re.findall(r"^\| (\d+) \| (\w+) \|", PAGE, re.MULTILINE)}
    assert table == {status.value: status.name for status in Exit}


def test_every_command_and_every_check_is_named() -> None:
    commands, _, doctor = PAGE.partition("## doctor")
    assert all(re.search(rf"^\|.*`{command}\b", commands, re.MULTILINE) for command in COMMANDS)
    assert re.findall(r"^\| `(\w+)` \|", doctor, re.MULTILINE) == list(CHECKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_is_one(page: Path) -> None:
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^(?:\$ )?(?:sudo )?cardctl ([^\n|>#\\]*)", block, re.MULTILINE):
            given = shlex.split(line)
            assert command_line("en", given).parse_args(given).command in COMMANDS


def test_every_error_has_an_exit_status_by_its_kind() -> None:
    statuses = {kind.code.partition(".")[0]: exit_of(_made(kind)) for kind in every_error()}
    assert statuses["card"] is statuses["reader"] is Exit.CARD
    assert statuses["pin"] is statuses["consent"] is Exit.PERSON
    assert statuses["session"] is Exit.NO_SESSION
    assert statuses["daemon"] is Exit.UNREACHABLE
    assert statuses["internal"] is statuses["audit"] is Exit.FAILED


def _made(kind: type[CarddError]) -> CarddError:
    return CardAmbiguous(("a", "b")) if kind is CardAmbiguous else kind.received()
