"""What a person's desktop is told of cards, PINs and sessions, to whom, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from cardd.config import Config, Prompt
from cardd.core.news import News
from cardd.errors import ConsentTimeout, LastTryRefused, PinBlocked, PinWrong
from cardd.model import Caller, Choice, Peer
from cardd.values import replace
from tests.core.conftest import CALLER, OTHER, PIN, Core

ANOTHER_USER = replace(CALLER, id="lps-3", name="LPS du remplaçant", peer=Peer(1001))
UP_TO_THE_END = 5  # turns of the loop, in which nobody waits for anything outside


@dataclass
class Desktops:
    """Two users' desktops; ``heard`` is what each was told: user, topic, params."""

    heard: list[tuple[int, str, Mapping[str, str]]] = field(default_factory=list)

    def told(self) -> tuple[int, ...]:
        """Return both users."""
        return 1000, 1001

    def tell(self, uid: int, topic: str, params: Mapping[str, str]) -> bool:
        """Keep it."""
        self.heard.append((uid, topic, params))
        return True

    async def take_all(self) -> list[tuple[int, str, Mapping[str, str]]]:
        """Return who was told what by now, once."""
        for _ in range(UP_TO_THE_END):
            await asyncio.sleep(0)
        heard, self.heard = self.heard, []
        return heard

    async def take(self) -> list[tuple[int, str]]:
        """Return it without the params."""
        return [(uid, topic) for uid, topic, _ in await self.take_all()]


@dataclass
class World:
    """The core, the desktops, and when certificates end; the readers are user 1000's."""

    core: Core
    desktops: Desktops
    ends: datetime
    news: News

    async def opens(self, caller: Caller = CALLER) -> None:
        """Log in with the right PIN."""
        self.core.person.pins = [PIN]
        await self.core.login.open(caller, None)


def configured(level: str) -> Config:
    return Config(prompt=Prompt(notifications=level))  # type: ignore[arg-type]


@pytest.fixture
def world(core: Core) -> World:
    desktops = Desktops()
    world = World(core, desktops, core.clock.now() + timedelta(days=900), None)  # type: ignore[arg-type]
    world.news = News(
        configured("all"), desktops, core.clock, may_use=lambda uid, _: uid == 1000, not_after=lambda _: world.ends
    )
    core.parts.lifecycle.join(world.news)
    return world


async def test_a_card_is_told_to_whom_the_readers_belong_and_a_patients_card_to_nobody(world: World) -> None:
    world.core.reader.remove()
    world.core.readers.card_inserted("Lecteur de test", bytes.fromhex("3B751300004309EA9000"))
    assert await world.desktops.take() == []
    world.core.readers.card_removed("Lecteur de test")
    world.core.reader.insert(world.core.card)
    assert await world.desktops.take_all() == [(1000, "card_in", {"card": "CPS3", "reader": "Lecteur de test"})]


async def test_a_card_in_a_lent_reader_is_told_to_its_user_and_not_to_whom_the_readers_belong(world: World) -> None:
    owners = world.core.parts.readers.owners  # everybody owns the machine's own readers here
    news = News(
        configured("all"), world.desktops, world.core.clock, may_use=owners.may_use, not_after=lambda _: world.ends
    )
    news.card_inserted(replace(world.core.readers.cards()[0], user=1001))
    assert await world.desktops.take() == [(1001, "card_in")]


async def test_the_tries_that_a_wrong_pin_left_are_told_once_and_again_after_a_right_one(world: World) -> None:
    async def mistyped(caller: Caller) -> None:
        world.core.person.pins = ["0000"]
        with pytest.raises(PinWrong):
            await world.core.login.open(caller, None)

    await mistyped(CALLER)
    [(uid, topic, params)] = world.desktops.heard
    assert (uid, topic) == (1000, "pin_tries")
    assert params == {"card": "CPS3", "reader": "Lecteur de test", "tries_left": "2"}
    world.desktops.heard.clear()
    await world.opens()
    await mistyped(CALLER)
    assert await world.desktops.take() == [(1000, "pin_tries")]


async def test_a_program_that_asks_again_and_again_of_a_blocked_card_is_told_of_once(world: World) -> None:
    world.core.person.pins = ["0000", "0000"]
    with pytest.raises(PinWrong):
        await world.core.login.open(CALLER, None)
    world.core.person.choice = Choice.NO
    for _ in range(3):
        world.core.clock.seconds += 100
        with pytest.raises(LastTryRefused):
            await world.core.login.open(CALLER, None)
    assert await world.desktops.take() == [(1000, "pin_tries")]
    world.core.person.choice = Choice.YES
    world.core.person.pins = ["0000"]
    for _ in range(3):
        world.core.clock.seconds += 100
        with pytest.raises((PinBlocked, PinWrong)):
            await world.core.login.open(CALLER, None)
    assert await world.desktops.take() == [(1000, "pin_blocked")]


async def test_the_pin_that_a_session_holds_and_the_card_refuses_is_told(world: World) -> None:
    await world.opens()
    [session] = world.core.sessions.every()
    assert session.pin
    session.pin.fill(memoryview(b"0000"))  # as if another program had changed the card's
    await world.core.readers.cards()[0].access.logout(session.id)
    with pytest.raises(PinWrong):
        await world.core.signing.authenticate(session, "n" * 44)
    assert await world.desktops.take() == [(1000, "pin_tries"), (1000, "session_asks_again")]


async def test_why_a_session_ended_is_told_once_for_each_program(world: World) -> None:
    for caller in (CALLER, CALLER, OTHER):
        await world.opens(caller)
    world.core.reader.remove()
    told = [(uid, topic, params["client"]) for uid, topic, params in await world.desktops.take_all()]
    assert told == [(1000, "session_card_removed", caller.name) for caller in (CALLER, OTHER)]


async def test_a_card_that_another_user_took_over_is_told_to_whom_it_was_taken_from(world: World) -> None:
    await world.opens()
    await world.opens(ANOTHER_USER)
    assert await world.desktops.take() == [(1000, "session_taken_over")]


async def test_the_end_of_a_session_that_its_person_wanted_or_that_never_began_is_not_told(world: World) -> None:
    await world.opens()
    [session] = world.core.sessions.every()
    world.core.sessions.close(session, "logout")
    assert await world.desktops.take() == []


async def test_a_locked_session_and_one_that_was_not_used_are_told(world: World) -> None:
    await world.opens()
    world.core.sessions.lock_where(lambda _: True)
    assert await world.desktops.take() == [(1000, "session_asks_again")]
    world.core.clock.seconds += 1801
    [session] = world.core.sessions.every()
    assert not world.core.sessions.use(session)
    assert await world.desktops.take() == [(1000, "session_idle")]


async def test_a_session_that_ends_because_it_is_locked_is_told_as_ended_alone(world: World) -> None:
    await world.opens()
    [session] = world.core.sessions.every()
    world.core.sessions.lock(session)
    world.core.sessions.close(session, "locked")  # as those of PKCS#11 do
    assert await world.desktops.take() == [(1000, "session_locked")]


async def test_a_certificate_that_ends_soon_is_told_once_a_day_with_the_days_that_are_left(world: World) -> None:
    world.ends = world.core.clock.now() + timedelta(days=12, hours=1)
    for caller in (CALLER, OTHER):
        await world.opens(caller)
    assert world.desktops.heard == [(1000, "certificate_soon", {"reader": "Lecteur de test", "days": "12"})]
    world.desktops.heard.clear()
    world.core.clock.seconds += 86400
    await world.opens()
    [(_, _, params)] = world.desktops.heard
    assert params["days"] == "11"
    world.desktops.heard.clear()
    world.core.clock.seconds += 12 * 86400
    await world.opens()
    assert (1000, "certificate_ended") in await world.desktops.take()


async def test_nothing_that_is_told_names_the_holder(world: World) -> None:
    world.ends = world.core.clock.now() + timedelta(days=1)
    await world.opens()
    [session] = world.core.sessions.every()
    world.core.sessions.lock_where(lambda _: True)
    world.core.reader.remove()
    told = await world.desktops.take_all()
    assert [topic for _, topic, _ in told] == ["certificate_soon", "session_asks_again", "session_card_removed"]
    person = session.identity
    assert not [name for name in (person.family_name, person.given_name, person.national_id) if name in str(told)]


async def test_less_or_nothing_is_told_where_that_is_configured(world: World) -> None:
    for level, told in (("important", [(1000, "unanswered")]), ("off", [])):
        world.news.reconfigured(configured(level))
        await world.opens()
        world.news.client_refused(CALLER, "client.pair", ConsentTimeout())
        world.core.sessions.close_where(lambda _: True, "idle")
        assert await world.desktops.take() == told
