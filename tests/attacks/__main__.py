"""`make attack`: each attack of the threat model by its tests, and a line that says whether it held.

Words on the command line choose the attacks that have one of them, in what is told or in a test's name. Exit status 0
only when every attack that was tried held.
"""

from __future__ import annotations

import os
import sys
import textwrap

import pytest

from tests.attacks.table import Attack, Verdict, attacks

WIDTH = 150
OPTIONS = ("--quiet", "--no-header", "--no-summary", "--maxprocesses=4", "--numprocesses=auto", "--dist=loadfile")


class Outcomes:
    """A plugin of pytest that keeps how each test ended."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst of a test's parts, and why it failed or was skipped."""
        if report.when == "call" or report.outcome != "passed":
            if self.of.get(report.nodeid) != "failed":
                self.of[report.nodeid] = report.outcome
            if report.outcome != "passed":
                self.reasons.setdefault(report.nodeid, _reason(report))

    def verdict(self, attack: Attack) -> tuple[Verdict, list[str]]:
        """Return how an attack ended, and the tests that say why; an attack that no test tried did not hold."""
        ended = {test: outcome for test, outcome in self.of.items() if attack.has(test)}
        failed = [test for test, outcome in ended.items() if outcome == "failed"]
        if failed or not ended:
            return Verdict.NOT_HELD, failed or ["no test was run"]
        if "passed" not in ended.values():
            return Verdict.NOT_TRIED, [next(iter(ended))]
        return Verdict.HELD, []


def _reason(report: pytest.TestReport) -> str:
    """Return the first line of what a report says of a failure or a skip."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    said: str = crash.message if crash else report.longreprtext
    return said.strip().partition("\n")[0]


def main() -> int:
    """Try the attacks; print the table."""
    words = sys.argv[1:]
    chosen = [
        attack
        for attack in attacks()
        if not words or any(word.lower() in f"{attack.told} {' '.join(attack.tests)}".lower() for word in words)
    ]
    outcomes = Outcomes()
    tests = sorted({test for attack in chosen for test in attack.tests})
    ended = pytest.main([*OPTIONS, *tests], plugins=[outcomes]) if tests else pytest.ExitCode.NO_TESTS_COLLECTED
    counts = dict.fromkeys(Verdict, 0)
    print(os.linesep)
    for attack in chosen:
        verdict, tests = outcomes.verdict(attack)
        counts[verdict] += 1
        print(f"{verdict:9}  {textwrap.shorten(attack.told, WIDTH, placeholder=' …')}")
        for test in tests:
            print(f"           {test}: {outcomes.reasons.get(test, '')}".rstrip(": "))
    passed, failed, skipped = counts[Verdict.HELD], counts[Verdict.NOT_HELD], counts[Verdict.NOT_TRIED]
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    is_whole = ended in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and passed + skipped > 0
    return 0 if is_whole and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
