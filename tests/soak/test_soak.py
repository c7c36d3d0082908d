"""The soak in small: its rule finds what grows, and some seconds of its load get the answers that they should."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.soak.load import RAW
from tests.soak.samples import DESCRIPTORS, MEMORY, Answers, Quantity, Samples

SECONDS = 3.0


def _flat(quantity: Quantity, values: list[float]) -> bool:
    samples = Samples(os.getpid(), Answers(), "")
    samples.of[quantity] = [(number / (len(values) - 1), value) for number, value in enumerate(values)]
    return all(is_flat for found, _, _, is_flat in samples.verdicts() if found is quantity)


def test_what_grows_until_the_end_is_not_flat() -> None:
    assert not _flat(MEMORY, [50 + 0.1 * number for number in range(100)])
    assert not _flat(DESCRIPTORS, [40 + number // 8 for number in range(100)])


def test_what_fills_at_the_beginning_or_wavers_is_flat() -> None:
    assert _flat(MEMORY, [50 + min(number, 20) for number in range(100)])
    assert _flat(DESCRIPTORS, [40 + number % 7 for number in range(100)])


def test_seconds_of_mixed_load_get_no_answer_that_nobody_expected() -> None:
    command = [sys.executable, "-m", "tests.soak", str(SECONDS / 60)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "answers that nobody expected: 0" in ran.stdout, ran.stdout + ran.stderr
    for kind in (RAW, "PDF", "list of 20", "PKCS#11"):
        assert kind in ran.stdout
