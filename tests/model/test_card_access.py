"""No order of events lets the card sign without this session's login, or a PIN be sent after it failed.

The search runs cardd's own transaction through every sequence of what sessions, other programs and hands at the reader
can do, until no new state is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from cardd.core.card_transaction import CardTransaction, HolderVerification
from cardd.driver import Card
from cardd.ports import Connection
from tests.model.world import SESSIONS, World

Event = Callable[[World], None]
STATES_MIN = 10_000  # fewer would mean that the search has not seen what it is for


def _mistype(world: World) -> None:
    world.another_program(lambda plastic: setattr(plastic, "tries", max(0, plastic.tries - 1)))


def _change_pin(world: World) -> None:
    world.another_program(lambda plastic: setattr(plastic, "pin", "2222"))


def _type_right(session: str, world: World) -> None:
    world.sign(session, typed=world.plastic.pin)


EVENTS: dict[str, Event] = {
    **{f"{session} signs by its held PIN": partial(World.sign, session=session) for session in SESSIONS},
    **{f"{session} types its PIN and signs": partial(_type_right, session) for session in SESSIONS},
    "A mistypes": partial(World.sign, session="A", typed="9999"),
    "A mistypes and agreed to the last try": partial(World.sign, session="A", typed="9999", spend_last_try=True),
    "A is locked": partial(World.lock, session="A"),
    "B ends": partial(World.end, session="B"),
    "somebody looks": World.look,
    "work without a login signs": World.sign_without_login,
    "the hold ends": World.hold_ends,
    "the card is swapped": World.swap,
    "another program uses the card": lambda world: world.another_program(lambda _: None),
    "another program mistypes": _mistype,
    "another program changes the PIN": _change_pin,
}


def search(make: Callable[[], World]) -> Iterator[tuple[tuple[str, ...], World]]:
    """Every state that events lead to, each by one of its shortest paths; a violation ends its path."""
    first = make()
    seen = {first.key()}
    front: list[tuple[tuple[str, ...], World]] = [((), first)]
    while front:
        further: list[tuple[tuple[str, ...], World]] = []
        for path, world in front:
            for name, event in EVENTS.items():
                after = world.fork()
                event(after)
                key = after.key()
                if key not in seen or after.violations:
                    seen.add(key)
                    yield (*path, name), after
                    if not after.violations:
                        further.append(((*path, name), after))
        front = further


def first_violation(make: Callable[[], World]) -> str | None:
    """The sentence of the first violation that the search meets."""
    return next((world.violations[0] for _, world in search(make) if world.violations), None)


def test_nothing_that_must_never_happen_is_reached_by_any_order_of_events() -> None:
    """No signature without this session's login, no PIN after a failure, nor for another card, nor on the last try."""
    reached = 0
    for path, world in search(World):
        assert not world.violations, f"{', '.join(path)}: {world.violations}"
        reached += 1
    assert reached > STATES_MIN


class _LoginOutlivesItsSession(CardTransaction):
    def _enter(self, connection: Connection, login: HolderVerification | None) -> None:
        if login and self.login is not None:
            self.login = login.session
        super()._enter(connection, login)


class _NoReset(CardTransaction):
    def _leave(self, connection: Connection, *, reset: bool) -> None:
        super()._leave(connection, reset=False)


class _NobodyReadsTheTries(CardTransaction):
    def _ensure_tries(self, card: Card, login: HolderVerification) -> None:
        pass


class _RefusalsAreForgotten(CardTransaction):
    def _verify(self, card: Card, login: HolderVerification) -> None:
        try:
            super()._verify(card, login)
        finally:
            self._trusted = None


class _NothingIsForgotten(CardTransaction):
    def forget(self) -> None:
        pass


@pytest.mark.parametrize(
    ("make", "violation"),
    [
        (partial(World, _LoginOutlivesItsSession), "the card signed with the login of another"),
        (partial(World, _NoReset), "the card was left logged in"),
        (partial(World, _NobodyReadsTheTries), "the last try was spent unasked"),
        (partial(World, _RefusalsAreForgotten), "a held PIN was sent after the card refused one"),
        (partial(World, _NothingIsForgotten), "a PIN reached another card"),
        (partial(World, names_the_card=False), "a PIN reached another card"),
        (partial(World, tries_known=math.inf), "a held PIN was sent on the last try"),
    ],
)
def test_the_search_finds_what_each_guard_keeps_away(make: Callable[[], World], violation: str) -> None:
    """Without one guard the same search fails: it looks where it should."""
    assert first_violation(make) == violation
