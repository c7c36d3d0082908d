"""Doctor on a whole workstation: all green where all is well, and its first line names what was broken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Level
from cardd.cli.doctor.examining import examine
from tests.cli.breakages import BREAKAGES, broken
from tests.cli.practice import Practice, first, practising

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can fill a disk and give files away")


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practising(tmp_path_factory.mktemp("practice")) as practice:
        yield practice


async def test_where_all_is_well_everything_is_green(practice: Practice, tmp_path: Path) -> None:
    results = await examine(CHECKS, CHECKS, practice.surroundings(tmp_path))
    wrong = [
        (result.code, result.sentence("en")) for result in results if result.level not in (Level.OK, Level.SKIPPED)
    ]
    assert wrong == []
    assert sum(result.level is Level.OK for result in results) >= 25


@pytest.mark.parametrize("code", BREAKAGES)
async def test_the_first_line_names_what_was_broken(practice: Practice, tmp_path: Path, code: str) -> None:
    with broken(code, practice, tmp_path) as surroundings:
        found = await first(surroundings)
    assert found is not None
    assert found.code == code
    for language in ("fr", "en"):
        assert "{" not in found.sentence(language) + found.remedy(language) + found.title(language)
        assert found.remedy(language)
