"""The attacks of docs/threat-model.md, each with the tests that try it: the page's tables are the one list of both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tests.repository.rules import ROOT

PAGE = ROOT / "docs" / "threat-model.md"
HEADING = "attack"  # above the attacks, in each table
TESTS = re.compile(r"`(tests/[^`]+)`")


class Verdict(StrEnum):
    """How an attack ended; NOT_TRIED where all its tests were skipped."""

    HELD = "held"
    NOT_HELD = "NOT HELD"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Attack:
    """One row: what is tried, and its tests as pytest is told them, a folder, a file or one test each."""

    told: str
    tests: tuple[str, ...]

    def has(self, test: str) -> bool:
        """Return whether a test, by its identifier, is one of those."""
        return any(test == own or test.startswith((own.rstrip("/") + "/", f"{own}::", f"{own}[")) for own in self.tests)


def attacks() -> list[Attack]:
    """Return the rows in order."""
    table = PAGE.read_text().partition("## Attacks and answers")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [Attack(row[0].replace("`", ""), tuple(TESTS.findall(row[-1]))) for row in rows if row[0] != HEADING]
