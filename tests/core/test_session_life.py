"""Rules 6, 7 and 9 without a card: whose a session is, what each end of it says, and what its lock takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cardd.config import Config, SessionRules
from cardd.core.card_access import CardAccess
from cardd.core.card_transaction import HolderVerification
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import DriverRegistry
from cardd.core.session import Credential, Pending, Session, SessionState
from cardd.core.sessions import REMEMBERED_ENDS, Sessions
from cardd.errors import (
    CarddError,
    PinCancelled,
    SessionClosed,
    SessionExpired,
    SessionLocked,
    SessionPending,
    SessionUnknown,
    SituationUnknown,
)
from cardd.model import Algorithm, Caller, CallerKey, CardKind, Event, KeyPurpose, KeyRef, Situation
from cardd.secret import Secret
from cardd.values import replace
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.alone import HOLDER, Alone, program
from tests.rig.waiting import eventually

IDLE, AGE = 30 * 60.0, 4 * 3600.0  # by default
PLACES = tuple(Situation(name, structure=name) for name in ("cabinet", "hospital"))


@dataclass
class Noted(Part):
    """What the other parts hear of sessions, in order."""

    told: list[tuple[str, ...]] = field(default_factory=list)

    def session_opened(self, session: Session) -> None:
        self.told.append(("opened", session.id))

    def session_closed(self, session: Session, reason: str) -> None:
        self.told.append(("closed", session.id, reason))

    def session_locked(self, session: Session) -> None:
        self.told.append(("locked", session.id))

    def session_situated(self, session: Session) -> None:
        self.told.append(("situated", session.id))


class Opening(Alone):
    """The sessions, and who opens them."""

    def __init__(self) -> None:
        super().__init__()
        self.noted = Noted()
        self.lifecycle.join(self.noted)
        self.sessions = Sessions(self.clock, self.events, SessionRules(), self.lifecycle)
        self.heard_by = {uid: self.events.subscribe(CallerKey(uid, "lps")) for uid in (1000, 1001)}

    def opened(
        self,
        identifier: str = "session",
        caller: Caller | None = None,
        card: InsertedCard | None = None,
        *,
        pending: bool = False,
        pin: bool = True,
    ) -> tuple[Session, str]:
        """Open a session that holds a PIN, or one that waits for its person for five minutes."""
        waits = Pending(self.clock.now() + timedelta(minutes=5), binding_message="42") if pending else None
        session, token = self.sessions.open(
            session_id=identifier,
            caller=caller or program(),
            method="card",
            identity=HOLDER,
            card=card,
            credentials={},
            pending=waits,
        )
        if pin and not pending:
            session.take_pin(Secret.of(b"7319"))
        return session, token

    async def events_of(self, uid: int = 1000) -> list[Event]:
        """Return what the program of this user was told since the last time."""
        self.events.publish(Event("end", to=CallerKey(uid, "lps")))
        found = []
        while (event := await self.heard_by[uid].next()) and event.type != "end":
            found.append(event)
        return found

    def why_not(self, token: str, **more: bool) -> CarddError:
        """Return why the token's session does not answer."""
        with pytest.raises(CarddError) as told:
            self.sessions.authenticate(token, "lps", 1000, **more)
        return told.value

    def taken(self) -> list[tuple[str, ...]]:
        told, self.noted.told = self.noted.told, []
        return told


@pytest.fixture
async def opening() -> Opening:
    return Opening()


async def test_a_session_is_told_to_its_own_program_and_to_every_part(opening: Opening) -> None:
    session, token = opening.opened()
    [event] = await opening.events_of()
    assert (event.type, event.data) == ("session.opened", {"session": "session"})
    assert await opening.events_of(1001) == []
    assert opening.taken() == [("opened", "session")]
    assert opening.sessions.authenticate(token, "lps", 1000) is session
    assert opening.sessions.authenticate(token, None, 1000) is session
    assert (session.state, session.opened_at) == (SessionState.ACTIVE, opening.clock.now())


async def test_a_token_of_anothers_session_is_unknown_and_ends_nothing(opening: Opening) -> None:
    _, token = opening.opened()
    for caller_id, uid in (("other", 1000), ("lps", 1001), (None, 1001), ("", 1000)):
        with pytest.raises(SessionUnknown):
            opening.sessions.authenticate(token, caller_id, uid)
    assert type(opening.why_not(token + "x")) is SessionUnknown
    opening.sessions.authenticate(token, "lps", 1000)


async def test_an_attempt_with_anothers_token_puts_off_no_end(opening: Opening) -> None:
    _, token = opening.opened()
    opening.clock.seconds += IDLE - 1
    with pytest.raises(SessionUnknown):
        opening.sessions.authenticate(token, "other", 1000)
    opening.clock.seconds += 1
    assert opening.why_not(token).params == {"reason": "idle"}


async def test_users_see_their_own_sessions_the_oldest_first(opening: Opening) -> None:
    mine = [opening.opened(name)[0] for name in ("b", "a")]
    theirs, _ = opening.opened("c", program(uid=1001))
    assert opening.sessions.of(1000) == mine
    assert opening.sessions.of(1001) == [theirs]
    assert opening.sessions.every() == [*mine, theirs]


@pytest.mark.parametrize(("seconds", "reason"), [(IDLE, "idle"), (AGE, "max_age"), (AGE + 1, "max_age")])
async def test_an_end_by_time_is_told_with_its_reason_and_wipes_the_pin(
    opening: Opening, seconds: float, reason: str
) -> None:
    session, token = opening.opened()
    pin = session.pin
    opening.clock.seconds += seconds
    told = opening.why_not(token)
    assert (type(told), told.params) == (SessionExpired, {"reason": reason})
    assert type(opening.why_not(token)) is SessionExpired
    assert (session.pin, bool(pin), opening.sessions.is_open(session)) == (None, False, False)
    assert [(event.type, event.data) for event in await opening.events_of()][1:] == [
        ("session.closed", {"session": "session", "reason": reason})
    ]
    assert opening.taken() == [("opened", "session"), ("closed", "session", reason)]


async def test_use_puts_off_the_end_by_idleness_and_not_the_one_by_age(opening: Opening) -> None:
    session, token = opening.opened()
    for _ in range(8):
        opening.clock.seconds += IDLE - 10
        opening.sessions.authenticate(token, "lps", 1000)
    left = AGE - 8 * (IDLE - 10)
    assert opening.sessions.expires_at(session) == opening.clock.now() + timedelta(seconds=left)
    opening.clock.seconds += left
    assert opening.why_not(token).params == {"reason": "max_age"}


async def test_a_look_that_is_no_use_puts_off_no_end(opening: Opening) -> None:
    session, token = opening.opened()
    opening.clock.seconds += IDLE - 1
    opening.sessions.authenticate(token, "lps", 1000, touch=False)
    assert opening.sessions.expires_at(session) == opening.clock.now() + timedelta(seconds=1)
    opening.clock.seconds += 1
    assert opening.why_not(token).params == {"reason": "idle"}
    assert opening.sessions.expires_at(session) == opening.clock.now()
    opening.clock.seconds += 1
    assert opening.sessions.expires_at(session) == opening.clock.now()


async def test_a_use_without_a_token_puts_off_the_end_too_unless_it_has_come(opening: Opening) -> None:
    session, token = opening.opened()
    opening.clock.seconds += IDLE - 1
    assert opening.sessions.use(session)
    opening.clock.seconds += IDLE - 1
    assert opening.sessions.use(session)
    opening.clock.seconds += IDLE
    assert not opening.sessions.use(session)
    assert opening.why_not(token).params == {"reason": "idle"}
    assert not opening.sessions.use(session)


async def test_a_session_ends_by_itself_when_its_time_is_over_and_no_sooner(opening: Opening) -> None:
    opening.sessions.rules = replace(opening.sessions.rules, idle=0.03)
    session, _ = opening.opened("a")
    used, _ = opening.opened("b")
    opening.clock.seconds += 0.02
    opening.sessions.touch(used)
    opening.clock.seconds += 0.01
    await eventually(lambda: not opening.sessions.is_open(session))
    assert opening.sessions.is_open(used)
    opening.clock.seconds += 0.02
    await eventually(lambda: not opening.sessions.is_open(used))
    assert opening.taken()[2:] == [("closed", "a", "idle"), ("closed", "b", "idle")]


@pytest.mark.parametrize("reason", ["logout", "card_removed", "daemon_stopped"])
async def test_whoever_ends_a_session_its_end_is_told_once(opening: Opening, reason: str) -> None:
    session, token = opening.opened()
    for _ in range(2):
        opening.sessions.close(session, reason)
    told = opening.why_not(token)
    assert (type(told), told.params) == (SessionClosed, {"reason": reason})
    with pytest.raises(SessionClosed):
        opening.sessions.ensure_open(session)
    with pytest.raises(SessionClosed):
        opening.sessions.ensure_usable(session)
    assert opening.taken()[1:] == [("closed", "session", reason)]
    assert session.pin is None


async def test_why_the_last_sessions_ended_is_remembered_of_so_many(opening: Opening) -> None:
    tokens = []
    for number in range(REMEMBERED_ENDS + 1):
        session, token = opening.opened(str(number), pin=False)
        opening.sessions.close(session, "logout")
        tokens.append(token)
    assert [type(opening.why_not(token)) for token in tokens[:2]] == [SessionUnknown, SessionClosed]


async def test_what_failed_while_it_waited_tells_its_own_error(opening: Opening) -> None:
    session, token = opening.opened(pending=True)
    opening.sessions.fail(session, PinCancelled())
    assert type(opening.why_not(token)) is PinCancelled
    assert (await opening.events_of())[-1].data == {"session": "session", "reason": PinCancelled.code}


@pytest.mark.parametrize(
    ("end", "gone"),
    [
        ("card", {"on card", "on card too"}),
        ("pin", {"on card", "on card too"}),
        ("client", {"on card", "in no reader"}),
        ("stop", {"on card", "on card too", "in no reader", "of 1001"}),
    ],
)
async def test_a_card_a_pin_a_client_or_the_daemon_takes_its_own_sessions_with_it(
    opening: Opening, end: str, gone: set[str]
) -> None:
    card, another = opening.card("card"), opening.card("another")
    opening.opened("on card", card=card)
    opening.opened("on card too", program("other"), card)
    opening.opened("in no reader")
    opening.opened("of 1001", program(uid=1001), another)
    every = opening.sessions.every()
    match end:
        case "card":
            opening.sessions.card_removed(card, "card_removed")
        case "pin":
            opening.sessions.pin_changed(card)
        case "client":
            opening.sessions.client_shut_out(CallerKey(1000, "lps"), "client_removed", "LPS")
        case _:
            await opening.sessions.stop()
    reason = {"card": "card_removed", "pin": "pin_changed", "client": "client_removed", "stop": "daemon_stopped"}[end]
    assert {session.id for session in every if session not in opening.sessions.every()} == gone
    assert {told[1:] for told in opening.taken() if told[0] == "closed"} == {(name, reason) for name in gone}
    assert {session.id for session in every if session.pin is None} == gone
    await opening.sessions.settle()


async def test_a_page_ends_with_its_origin(opening: Opening) -> None:
    page = replace(program("https://webps.example"), page_key="key")
    session, _ = opening.opened("page", page)
    opening.sessions.client_shut_out(CallerKey(1000, "https://webps.example"), "origin_revoked", "webps")
    assert not opening.sessions.is_open(session)


async def test_nothing_is_opened_by_a_daemon_that_stops(opening: Opening) -> None:
    await opening.sessions.stop()
    with pytest.raises(SessionClosed) as told:
        opening.opened()
    assert told.value.params == {"reason": "daemon_stopped"}


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
