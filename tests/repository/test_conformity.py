"""The conformity page names tests that exist: a rule whose test was renamed or removed is shown by nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.repository.rules import ROOT

PAGE = ROOT / "docs" / "conformity.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)?::(\w+)`")


def named() -> Iterator[tuple[str, str]]:
    """Each test of the page, by file and name."""
    for line in PAGE.read_text().splitlines():
        file = ""
        for told, name in NAMED.findall(line):
            file = told or file
            yield file, name


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_each_test_that_the_page_names_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_each_rule_has_one() -> None:
    rules, _, others = PAGE.read_text().partition("## What only others can confirm")
    rows = [line for line in rules.splitlines() if line.startswith("| ") and not line.startswith("| rule")]
    assert len(rows) > 40
    assert [row for row in rows if not NAMED.search(row)] == []
    assert not NAMED.search(others)
