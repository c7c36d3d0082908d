"""Rules 6 and 7 without a card: whose a session is, and what each end of it says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardd.core.session import SessionState
from cardd.core.sessions import REMEMBERED_ENDS
from cardd.errors import (
    PinCancelled,
    SessionClosed,
    SessionExpired,
    SessionUnknown,
)
from cardd.model import CallerKey, Situation
from cardd.values import replace
from tests.core.alone import program
from tests.core.opening import Opening
from tests.rig.waiting import eventually

IDLE, AGE = 30 * 60.0, 4 * 3600.0  # by default
PLACES = tuple(Situation(name, structure=name) for name in ("cabinet", "hospital"))


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
