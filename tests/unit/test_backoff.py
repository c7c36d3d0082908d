"""Pauses between two attempts grow, up to a limit, until one went well."""

from __future__ import annotations

from cardd.backoff import BackOff


def test_each_pause_is_twice_as_long_up_to_the_longest() -> None:
    back_off = BackOff(0.5, 3.0)
    assert [back_off.pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_after_an_attempt_that_went_well_they_begin_anew() -> None:
    back_off = BackOff(0.5, 3.0)
    back_off.pause()
    back_off.pause()
    back_off.reset()
    assert back_off.pause() == 0.5
