"""Rules 6 and 9 without a card: what a lock takes of a session, who waits for one, and what a restart leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardd.config import Config, SessionRules
from cardd.core.card_access import CardAccess
from cardd.core.card_transaction import HolderVerification
from cardd.core.inserted_card import InsertedCard
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import DriverRegistry
from cardd.core.session import Credential, Pending, SessionState
from cardd.errors import (
    SessionLocked,
    SessionPending,
    SituationUnknown,
)
from cardd.model import Algorithm, CardKind, KeyPurpose, KeyRef, Situation
from cardd.secret import Secret
from cardd.values import replace
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.alone import HOLDER, Alone, program
from tests.core.opening import Opening
from tests.rig.waiting import eventually

IDLE, AGE = 30 * 60.0, 4 * 3600.0  # by default
PLACES = tuple(Situation(name, structure=name) for name in ("cabinet", "hospital"))


@pytest.fixture
async def opening() -> Opening:
    return Opening()


async def test_a_lock_takes_the_pin_of_those_whom_it_concerns_once(opening: Opening) -> None:
    session, token = opening.opened("a")
    other, _ = opening.opened("b", program(uid=1001))
    pin = session.pin
    for _ in range(2):
        opening.sessions.lock_where(lambda found: found.caller.peer.uid == 1000)
    assert (session.pin, bool(pin), session.state, other.state) == (None, False, "locked", "active")
    assert other.pin
    assert opening.taken()[2:] == [("locked", "a")]
    assert [event.type for event in await opening.events_of()] == ["session.opened", "session.locked"]
    with pytest.raises(SessionLocked):
        opening.sessions.ensure_usable(session)
    opening.sessions.ensure_open(session)
    opening.sessions.ensure_usable(other)
    assert opening.sessions.authenticate(token, "lps", 1000) is session


async def test_a_card_that_refuses_a_held_pin_has_all_its_sessions_ask_again(opening: Opening) -> None:
    card = opening.card("card")
    sessions = [opening.opened(name, card=where)[0] for name, where in (("a", card), ("b", card), ("c", None))]
    opening.sessions.distrust_pins(card)
    assert [session.state.value for session in sessions] == ["locked", "locked", "active"]


async def test_a_screen_that_is_locked_locks_its_users_sessions_when_it_is_locked_and_not_again(
    opening: Opening,
) -> None:
    session, _ = opening.opened("a")
    other, _ = opening.opened("b", program(uid=1001))
    opening.sessions.screens_locked(frozenset({1000}))
    assert (session.state, other.state) == ("locked", "active")
    session.take_pin(Secret.of(b"7319"))  # typed over ssh
    opening.sessions.screens_locked(frozenset({1000, 1001}))
    assert (session.state, other.state) == ("active", "locked")
    opening.sessions.screens_locked(frozenset())
    opening.sessions.screens_locked(frozenset({1000}))
    assert session.state == "locked"


async def test_a_pin_that_was_typed_before_the_screen_was_locked_is_told_from_one_typed_after(
    opening: Opening,
) -> None:
    before = opening.sessions.lock_watch(1000)
    assert not before()
    opening.sessions.screens_locked(frozenset({1000}))
    after = opening.sessions.lock_watch(1000)
    assert (before(), after(), opening.sessions.lock_watch(1001)()) == (True, False, False)
    opening.sessions.screens_locked(frozenset())
    assert (before(), after()) == (False, False)


async def test_who_is_back_goes_on_without_a_card_and_asks_for_the_pin_with_one(opening: Opening) -> None:
    on_card = opening.opened("c", card=opening.card("card"))[0]
    there, elsewhere = opening.opened("a")[0], opening.opened("b", program("other"))[0]
    untouched = opening.opened("d")[0]
    for session in (on_card, there, elsewhere):
        opening.sessions.lock(session)
    opening.sessions.ensure_usable(on_card)  # its PIN is asked for
    await opening.events_of()
    opening.sessions.unlock_where(lambda session: session.caller.id == "lps")
    assert [one.state.value for one in (there, elsewhere, on_card)] == ["active", "locked", "locked"]
    assert untouched.pin
    assert [(event.type, event.data["session"]) for event in await opening.events_of()] == [("session.unlocked", "a")]


async def test_a_session_that_waits_is_told_with_what_to_compare_and_answers_only_who_asks_for_it(
    opening: Opening,
) -> None:
    session, token = opening.opened(pending=True)
    until = opening.clock.now() + timedelta(minutes=5)
    [event] = await opening.events_of()
    assert event.type == "session.pending"
    assert event.data == {"session": "session", "expires_at": until.isoformat(), "binding_message": "42"}
    assert opening.taken() == []
    assert type(opening.why_not(token)) is SessionPending
    assert opening.sessions.authenticate(token, "lps", 1000, pending=True) is session
    assert opening.sessions.expires_at(session) == until
    until += timedelta(minutes=1)
    opening.sessions.wait_anew(session, Pending(until, authorization_url="https://psc", start_url="http://127.0.0.1"))
    [event] = await opening.events_of()
    assert event.data == {
        "session": "session",
        "expires_at": until.isoformat(),
        "authorization_url": "https://psc",
        "start_url": "http://127.0.0.1",
    }
    assert opening.sessions.expires_at(session) == until


async def test_who_asks_for_a_session_that_waits_shows_that_somebody_still_waits(opening: Opening) -> None:
    _, token = opening.opened(pending=True)
    for _ in range(2):
        opening.clock.seconds += IDLE - 1
        opening.sessions.authenticate(token, "lps", 1000, touch=False, pending=True)


async def test_a_session_whose_person_has_agreed_begins_then(opening: Opening) -> None:
    session, token = opening.opened(pending=True)
    opening.clock.seconds += 100
    person = replace(HOLDER, given_name="Dominique")
    opening.sessions.activate(session, person, PLACES[0])
    assert (session.pending, session.state, session.situation) == (None, SessionState.ACTIVE, PLACES[0])
    assert session.identity.given_name == "Dominique"
    assert session.opened_at == opening.clock.now()
    assert opening.sessions.expires_at(session) == opening.clock.now() + timedelta(seconds=IDLE)
    assert opening.taken() == [("opened", "session")]
    assert [event.type for event in await opening.events_of()] == ["session.pending", "session.opened"]
    opening.clock.seconds += 1
    assert opening.sessions.authenticate(token, "lps", 1000) is session


async def test_a_session_that_waited_behind_a_locked_screen_opens_locked(opening: Opening) -> None:
    session, _ = opening.opened(pending=True)
    opening.sessions.screens_locked(frozenset({1000}))
    assert (session.state, opening.taken()) == (SessionState.PENDING, [])
    opening.sessions.activate(session, HOLDER)
    assert opening.taken() == [("opened", "session"), ("locked", "session")]
    assert (session.state, session.opens_locked) == (SessionState.LOCKED, False)


async def test_a_session_whose_person_came_back_while_it_waited_opens_unlocked(opening: Opening) -> None:
    session, _ = opening.opened(pending=True)
    opening.sessions.lock(session)
    opening.sessions.unlock_where(lambda _: True)
    opening.sessions.activate(session, HOLDER)
    assert session.state == SessionState.ACTIVE


async def test_a_session_of_the_daemon_before_goes_on_and_its_age_counts_on(opening: Opening) -> None:
    kept = opening.session("kept")
    opening.clock.seconds += 1000
    opening.sessions.restore(kept)
    assert (kept.state, opening.taken()) == (SessionState.PENDING, [])
    assert opening.sessions.expires_at(kept) == kept.opened_at + timedelta(seconds=AGE)
    opening.sessions.resume(kept, HOLDER, PLACES[1])
    assert (kept.state, kept.pending, kept.situation) == (SessionState.ACTIVE, None, PLACES[1])
    assert opening.taken() == [("opened", "kept")]
    opening.clock.seconds += AGE - 1000 - IDLE + 1
    opening.sessions.touch(kept)
    opening.clock.seconds += IDLE - 1
    assert not opening.sessions.use(kept)
    assert opening.taken() == [("closed", "kept", "max_age")]


async def test_a_restored_session_that_nobody_asks_for_ends_by_idleness(opening: Opening) -> None:
    kept = opening.session("kept")
    opening.clock.seconds += 1000
    opening.sessions.restore(kept)
    opening.clock.seconds += IDLE
    assert not opening.sessions.use(kept)
    assert opening.taken() == [("closed", "kept", "idle")]


async def test_a_situation_is_one_of_the_persons(opening: Opening) -> None:
    session, _ = opening.opened()
    session.situations = PLACES
    opening.taken()
    await opening.events_of()
    with pytest.raises(SituationUnknown) as unknown:
        opening.sessions.situate(session, "elsewhere")
    assert unknown.value.params == {"known": "cabinet, hospital"}
    assert (opening.taken(), session.situation) == ([], None)
    opening.sessions.situate(session, "hospital")
    assert session.situation == PLACES[1]
    assert opening.taken() == [("situated", "session")]
    [event] = await opening.events_of()
    assert (event.type, event.data) == ("session.situated", {"session": "session", "situation": "hospital"})


async def test_new_times_count_for_sessions_that_are_open(opening: Opening) -> None:
    session, token = opening.opened()
    opening.sessions.reconfigured(Config(session=SessionRules(idle=IDLE / 2, max_age=AGE)))
    assert session.pin
    opening.clock.seconds += IDLE / 2
    assert opening.why_not(token).params == {"reason": "idle"}


async def test_a_session_ends_by_itself_at_its_new_time(opening: Opening) -> None:
    session, _ = opening.opened()
    opening.clock.seconds += 100
    opening.sessions.reconfigured(Config(session=SessionRules(idle=100)))
    await eventually(lambda: not opening.sessions.is_open(session))


async def test_a_pin_that_may_be_held_no_more_is_wiped_and_the_session_stays(opening: Opening) -> None:
    assert opening.sessions.hold_pins
    session, token = opening.opened()
    pin = session.pin
    opening.sessions.reconfigured(Config(session=SessionRules(pin="ask")))
    assert not opening.sessions.hold_pins
    assert (session.pin, bool(pin), session.state) == (None, False, SessionState.ACTIVE)
    assert opening.sessions.authenticate(token, "lps", 1000) is session


@pytest.mark.parametrize("how", ["close", "lock", "ask"])
async def test_the_card_of_a_session_that_ends_or_loses_its_pin_is_de_authenticated(
    opening: Opening, simulated_card: SimulatedCard, how: str
) -> None:
    reader = InProcessReader("Lecteur de test", simulated_card, DriverRegistry([Cps3Driver()]).open)
    access = CardAccess(reader, PinGuard(opening.clock), hold=30.0, timeout=2)
    card = InsertedCard("card", reader.name, b"\x3b", CardKind.CPS3, access)
    session, _ = opening.opened(card=card)
    await access.use(lambda _: None, HolderVerification("session", session.pin))
    resets = simulated_card.resets
    match how:
        case "close":
            opening.sessions.close(session, "logout")
        case "lock":
            opening.sessions.lock(session)
        case _:
            opening.sessions.reconfigured(Config(session=SessionRules(pin="ask")))
    await opening.sessions.settle()
    assert simulated_card.resets == resets + 1
    await access.close()
    await reader.close()


def test_a_pin_that_takes_anothers_place_wipes_that_one() -> None:
    session = Alone().session()
    pins = [Secret.of(b"7319"), Secret.of(b"0000")]
    for pin in pins:
        session.take_pin(pin)
    assert [bool(pin) for pin in pins] == [False, True]
    assert session.pin is pins[1]


def test_two_sessions_have_their_holder_in_common_where_one_key_signs_for_one_person() -> None:
    alone = Alone()
    key = KeyRef("01", "key", KeyPurpose.SIGNATURE, 1, (Algorithm.RS256,), None)
    one, same, other_person, other_key, none, none_too = (alone.session(str(number)) for number in range(6))
    for session, certificate in ((one, b"a"), (same, b"a"), (other_person, b"a"), (other_key, b"b")):
        session.credentials[KeyPurpose.SIGNATURE] = Credential(key, certificate, "00")
    none.credentials[KeyPurpose.AUTHENTICATION] = Credential(key, b"a", "00")
    other_person.identity = replace(HOLDER, national_id="899700000002")
    assert one.holder == same.holder
    assert len({session.holder for session in (one, other_person, other_key, none, none_too)}) == 5
