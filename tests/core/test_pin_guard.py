"""How long whoever presents codes has to wait after wrong ones, to the second."""

from __future__ import annotations

import pytest

from cardd.core.pin_guard import PinGuard
from cardd.errors import PinBackOff, PinBlocked, PinWrong, PukBlocked, PukWrong
from cardd.model import CallerKey
from tests.rig.memory import ManualClock

ME, OTHER, THIRD, FOURTH = (CallerKey(1000, name) for name in ("me", "other", "third", "fourth"))
CARD, CARDS = "card", [f"card {number}" for number in range(6)]


class Guarded:
    """A guard, a clock, and people who present codes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.guard = PinGuard(self.clock)

    def wrong(
        self, caller: CallerKey | None = ME, card: str = CARD, error: type[Exception] = PinWrong, **how: bool
    ) -> None:
        with pytest.raises(error), self.guard.presenting(card, caller, **how):
            raise error

    def right(self, caller: CallerKey | None = ME, card: str = CARD, **how: bool) -> None:
        with self.guard.presenting(card, caller, **how):
            pass

    def wait(self, caller: CallerKey | None = ME, card: str = CARD) -> int:
        """The seconds that a caller is told to wait; 0 for none."""
        try:
            self.guard.check(card, caller)
        except PinBackOff as told:
            return int(told.params["retry_after"])
        return 0


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize("error", [PinBlocked, PukWrong, PukBlocked, PinWrong])
def test_the_first_wrong_code_is_free_and_each_further_one_doubles_the_wait(
    guarded: Guarded, error: type[Exception]
) -> None:
    guarded.wrong(error=error)
    assert guarded.wait() == 0
    waits = []
    for _ in range(3):
        guarded.wrong(error=error, is_held=True)  # one that is held does not wait
        waits.append(guarded.wait())
        guarded.clock.seconds += 60
    assert waits == [3, 5, 9]


def test_a_wait_ends_when_it_is_over_and_not_before(guarded: Guarded) -> None:
    guarded.wrong()
    guarded.wrong()
    guarded.clock.seconds += 1.5
    assert guarded.wait() == 1
    with pytest.raises(PinBackOff), guarded.guard.presenting(CARD, ME):
        pytest.fail("the code reached the card")
    guarded.clock.seconds += 0.5
    assert guarded.wait() == 0


def test_no_wait_is_longer_than_a_minute(guarded: Guarded) -> None:
    for _ in range(12):
        guarded.wrong(is_held=True)
    assert guarded.wait() == 61


def test_another_caller_waits_only_when_the_card_has_had_more_than_three(guarded: Guarded) -> None:
    for caller in (ME, OTHER, None):
        guarded.wrong(caller)
    assert [guarded.wait(caller) for caller in (ME, THIRD)] == [0, 0]
    guarded.wrong(THIRD)
    assert [guarded.wait(caller) for caller in (ME, FOURTH)] == [3, 3]
    assert guarded.wait(FOURTH, "another card") == 0


def test_another_card_waits_only_when_the_machine_has_had_more_than_five(guarded: Guarded) -> None:
    for card in CARDS[:5]:
        guarded.wrong(card=card)
    assert guarded.wait(OTHER, "another card") == 0
    guarded.wrong(card=CARDS[5])
    assert guarded.wait(OTHER, "another card") == 3


def test_the_last_mistake_of_the_card_begins_the_wait(guarded: Guarded) -> None:
    for caller in (ME, OTHER, THIRD):
        guarded.wrong(caller)
        guarded.clock.seconds += 1
    guarded.wrong(FOURTH)
    guarded.clock.seconds += 1
    assert guarded.wait(None) == 2


def test_a_right_code_needs_no_mistake_before_it(guarded: Guarded) -> None:
    guarded.right()
    assert guarded.wait() == 0


def test_a_right_code_forgives_its_caller_on_its_card_alone(guarded: Guarded) -> None:
    for caller in (ME, OTHER, THIRD):
        guarded.wrong(caller)
    guarded.right(ME)
    guarded.wrong(ME)
    assert guarded.wait(ME) == 0
    guarded.wrong(OTHER)
    assert guarded.wait(OTHER) == 3


def test_a_held_code_that_is_right_forgives_nothing_and_never_waits(guarded: Guarded) -> None:
    guarded.wrong()
    guarded.wrong()
    guarded.right(is_held=True)
    assert guarded.wait() == 3


def test_other_errors_are_no_mistakes(guarded: Guarded) -> None:
    for _ in range(3):
        guarded.wrong(error=ValueError)
    assert guarded.wait() == 0


def test_mistakes_are_forgotten_after_a_quarter_of_an_hour(guarded: Guarded) -> None:
    guarded.wrong()
    guarded.clock.seconds += 899
    guarded.wrong()
    assert guarded.wait() == 3
    guarded.clock.seconds += 900
    guarded.wrong()
    assert guarded.wait() == 0
