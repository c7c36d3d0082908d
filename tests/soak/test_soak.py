"""The rule of the soak finds what grows, and nothing else. The soak itself takes too long for each run of the tests."""

from __future__ import annotations

import os

from tests.soak.samples import DESCRIPTORS, MEMORY, Answers, Quantity, Samples


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
