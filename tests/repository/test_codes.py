"""Each code that a person may read to support is seen by a test: errors' and doctor's."""

from __future__ import annotations

from cardd.cli.doctor import MODULES, outcomes
from cardd.cli.doctor import check as shared
from cardd.cli.doctor.check import REASONS
from cardd.errors import errors_by_code
from tests.repository.expected import expected


def test_each_code_of_an_error_is_expected_by_a_test() -> None:
    """By the code or by its class."""
    unseen = {code for code, kind in errors_by_code().items() if not {code, kind.__name__} & expected()}
    assert unseen == set()


def test_each_code_of_doctors_is_expected_by_a_test_and_each_reason_for_which_a_check_is_skipped() -> None:
    codes = {one.code for module in (*MODULES, shared) for one in outcomes(module)}
    codes |= {f"skipped.{reason}" for reason in REASONS}
    assert len(codes) > 150
    assert codes - expected() == set()
