"""Whose a card is: whom its PIN's dialog tells of, whom it does not drive out, and whose sessions end."""

from __future__ import annotations

import pytest

from cardd.core.leases import Leases, telling
from cardd.core.session import Session
from cardd.errors import CardInUse
from cardd.model import Question
from cardd.values import replace
from tests.core.alone import program
from tests.core.opening import Opening


class Held(Opening):
    """Two cards, and those who have sessions on them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.another = self.card("one"), self.card("another")
        self.leases = Leases(self.sessions, ("card",))
        self.theirs = self.opened("theirs", program(uid=1001), self.one)[0]
        self.mine = self.opened("mine", program(), self.one)[0]
        self.opened("elsewhere", program(uid=1001), self.another)
        self.opened("without", program(uid=1001))


@pytest.fixture
async def held() -> Held:
    return Held()


async def test_the_others_are_those_of_other_users_on_this_card(held: Held) -> None:
    assert held.leases.of_others(held.one, 1000) == {held.theirs}
    assert held.leases.of_others(held.one, 1001) == {held.mine}
    assert held.leases.of_others(held.one, 1002) == {held.theirs, held.mine}
    assert Leases(held.sessions, ("csa",)).of_others(held.one, 1000) == set()


async def test_the_dialog_tells_of_others_where_there_are_any(held: Held) -> None:
    question = Question("login", 1000, {"client": "LPS SIMULATION"})
    told = telling(question, held.leases.of_others(held.one, 1000))
    assert told == replace(question, params={"client": "LPS SIMULATION", "takes_over": ""})
    assert telling(question, frozenset()) is question


async def test_whoever_came_unknown_to_the_dialog_is_not_driven_out(held: Held) -> None:
    told: frozenset[Session] = held.leases.of_others(held.one, 1000)
    held.leases.ensure_told(held.one, 1000, told)
    held.sessions.close(held.theirs, "logout")
    held.leases.ensure_told(held.one, 1000, told)
    held.opened("later", program(uid=1002), held.one)
    with pytest.raises(CardInUse):
        held.leases.ensure_told(held.one, 1000, told)


async def test_the_pin_ends_the_sessions_of_others_on_this_card_and_no_more(held: Held) -> None:
    held.taken()
    held.leases.take(held.one, 1000)
    assert held.taken() == [("closed", "theirs", "taken_over")]
    assert held.sessions.is_open(held.mine)
