"""`make faults`: its list, and a few of its rows, injected as all of them are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from tests.faults.table import Listed, faults
from tests.repository.rules import ROOT

LEAST = 50
FEW = ("as soon as PC/SC tells", "killed at GET RESPONSE", "restarted at once")
TOOLS = ("unshare", "strace", "gcc", "tinyproxy", "nginx", "softhsm2-util")
missing = [tool for tool in TOOLS if not (shutil.which(tool) or shutil.which(tool, path="/usr/sbin"))]


def test_there_are_many_each_once_and_some_of_each_kind() -> None:
    told = Counter((one.listed, one.told) for one in faults())
    assert len(told) >= LEAST
    assert set(told.values()) == {1}
    assert {listed for listed, _ in told} == set(Listed)


@pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
def test_work_goes_on_after_a_few_of_them() -> None:
    command = [sys.executable, "-m", "tests.faults", "--json", *FEW]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # ends a hung one
    if "unshare" in done.stderr and "Operation not permitted" in done.stderr:
        pytest.skip("this machine gives no mount namespace")
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert [row["wrong"] for row in told["rows"]] == [[]] * len(told["rows"])
    assert (done.returncode, told["failed"], told["passed"] >= len(FEW)) == (0, 0, True)


def test_the_page_has_each_kind_with_its_rows_and_its_time() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    of_kind: defaultdict[str, list[float]] = defaultdict(list)
    for one in faults():
        of_kind[one.listed].append(one.within)
    assert f"in {len(faults())} ways" in page
    for kind, times in of_kind.items():
        assert f"| {kind} | {len(times)} | {max(times):g} s |" in page
