"""Pauses between two attempts grow, up to a limit, until one went well; what comes without end is taken at a pace."""

from __future__ import annotations

from cardd.backoff import BackOff, Pace


def test_each_pause_is_twice_as_long_up_to_the_longest() -> None:
    back_off = BackOff(0.5, 3.0)
    assert [back_off.pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_after_an_attempt_that_went_well_they_begin_anew() -> None:
    back_off = BackOff(0.5, 3.0)
    back_off.pause()
    back_off.pause()
    back_off.reset()
    assert back_off.pause() == 0.5


def test_so_many_come_at_once_and_each_more_waits_longer() -> None:
    pace = Pace(3, 10.0)
    assert [round(pace.pause()) for _ in range(5)] == [0, 0, 0, 10, 20]
