"""The threat model names tests that exist: an attack whose test was renamed or removed is tried by nothing."""

from __future__ import annotations

import re

from tests.attacks.__main__ import Outcomes
from tests.attacks.table import Attack, Verdict, attacks
from tests.repository.rules import ROOT


def test_each_attack_has_tests_that_are_there() -> None:
    found = attacks()
    assert len(found) > 100
    assert [attack.told for attack in found if not attack.tests] == []
    assert [test for attack in found for test in attack.tests if not is_there(test)] == []


def is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.exists() and (not name or bool(re.search(rf"^(async )?def {name}\(", path.read_text(), re.MULTILINE)))


def test_an_attack_has_the_tests_of_its_folder_its_file_and_its_name_only() -> None:
    attack = Attack("x", ("tests/a/", "tests/b/test_x.py", "tests/c/test_y.py::test_one"))
    for test in ("tests/a/test_z.py::test_q", "tests/b/test_x.py::test_q[1]", "tests/c/test_y.py::test_one[é]"):
        assert attack.has(test)
    for test in ("tests/ab/test_z.py::test_q", "tests/b/test_x.pyc::test_q", "tests/c/test_y.py::test_one_more"):
        assert not attack.has(test)


def test_an_attack_holds_when_one_of_its_tests_passed_and_none_failed() -> None:
    attack, outcomes = Attack("x", ("tests/a.py::test_one", "tests/b.py")), Outcomes()
    assert outcomes.verdict(attack) == (Verdict.NOT_HELD, ["no test was run"])
    outcomes.of["tests/a.py::test_one[chromium]"] = "skipped"
    assert outcomes.verdict(attack) == (Verdict.NOT_TRIED, ["tests/a.py::test_one[chromium]"])
    outcomes.of["tests/b.py::test_two"] = "passed"
    assert outcomes.verdict(attack) == (Verdict.HELD, [])
    outcomes.of["tests/a.py::test_one[firefox]"] = "failed"
    assert outcomes.verdict(attack) == (Verdict.NOT_HELD, ["tests/a.py::test_one[firefox]"])
