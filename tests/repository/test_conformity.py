"""Pages that name tests name those that exist: a rule whose test was renamed or removed is shown by nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.repository.rules import ROOT

PAGES = {  # where the rules of each page end
    "conformity.md": "## What only others can confirm",
    "sandbox-dmp.md": "## What it cannot check",
    "simulated-insi.md": "## What it cannot check",
}
HEADS = ("| rule", "| checked")
RULES = 9  # of the shortest page
NAMED = re.compile(r"`(tests/[\w/]+\.py)?::(\w+)`")


def named() -> Iterator[tuple[str, str]]:
    """Each test of the pages, by file and name."""
    for line in "\n".join((ROOT / "docs" / page).read_text() for page in PAGES).splitlines():
        file = ""
        for told, name in NAMED.findall(line):
            file = told or file
            yield file, name


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_each_test_that_a_page_names_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def rows_of(text: str) -> Iterator[str]:
    """Each row of the tables of rules."""
    is_rule = False
    for line in text.splitlines():
        is_head = line.startswith(HEADS)
        is_rule = is_head or (is_rule and line.startswith("|"))
        if is_rule and line.startswith("| ") and not is_head:
            yield line


@pytest.mark.parametrize("page", PAGES)
def test_each_rule_has_one(page: str) -> None:
    rules, _, others = (ROOT / "docs" / page).read_text().partition(PAGES[page])
    rows = list(rows_of(rules))
    assert len(rows) >= RULES
    assert [row for row in rows if not NAMED.search(row)] == []
    assert not NAMED.search(others)
