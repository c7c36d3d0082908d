"""The demonstration that README.md begins with (``make demo``)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.workstation import ROOT


@pytest.mark.parametrize(
    ("without", "shown"),
    [
        pytest.param([], "oidc-provider: approved", id="with all that make setup installs"),
        pytest.param(["--in-process", "--without-node"], "simulate psc: Request 1", id="with neither PC/SC nor node"),
    ],
)
def test_the_demo_holds_from_the_card_to_the_mobile(without: list[str], shown: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.demo", *without],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert shown in ran.stdout
    assert ran.stdout.splitlines()[-1] == "everything held"
