"""Rounds in which the machine is slow are measured again, and no more often than is sensible."""

from __future__ import annotations

from tests.bench.floor import AGAIN, Pace
from tests.bench.measure import Series


def test_a_round_that_begins_or_ends_on_a_slow_machine_is_measured_again() -> None:
    takes, series, numbers = [1.0], Series(), []
    pace = Pace(lambda: takes[0], rest=0)
    for attempt, number in enumerate(pace.rounds(3, series)):
        numbers.append(number)
        series.add([attempt])
        takes[0] = 1.0 if attempt else 2.0
    assert series.rounds == [[2], [3], [4]]
    assert (numbers, pace.again) == ([0, 0, 0, 1, 2], 2)


def test_a_round_that_is_a_little_slower_counts() -> None:
    takes, series = [1.0], Series()
    pace = Pace(lambda: takes[0], rest=0)
    for number in pace.rounds(2, series):
        series.add([number])
        takes[0] = 1.1
    assert (series.rounds, pace.again) == ([[0], [1]], 0)


def test_on_a_machine_that_stays_slow_there_is_an_end() -> None:
    takes, series = [1.0], Series()
    pace = Pace(lambda: takes[0], rest=0)
    assert not pace.is_slow()
    takes[0] = 2.0
    for number in pace.rounds(2, series):
        series.add([number])
    assert (len(series.rounds), pace.again) == (2, 2 * AGAIN)
