"""What ends a program's login and its sessions: the lock, the card, idleness, its own end; and who shares the card."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.core.consents import SignatureRequest
from cardd.core.session import SessionState
from cardd.errors import ReaderBusy
from cardd.model import Caller, CallerKind, Choice, Message, Peer
from cardd.p11.cryptoki import Mechanism, Rv
from cardd_simulators.cards.behaviour import behaving
from tests.p11.client import Client, Failed, mechanism, octets, room, ulong
from tests.p11.handshakes import transcript
from tests.p11.inside import Inside, soon
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually

TOKEN_PRESENT = 1
VERIFY, INTERNAL_AUTHENTICATE = 0x20, 0x88
USER, NO_PIN = 1, b"\x00\x00\x00\x00\x00"


@pytest_asyncio.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    """A daemon's parts."""
    async with Inside(tmp_path) as made:
        yield made


def logins(inside: Inside) -> list[str]:
    """Whose logins are open."""
    return [one.caller.name for one in inside.parts.sessions.of(inside.uid)]


async def log_in(client: Client, session: int) -> None:
    await client.call("login", ulong(session, USER) + NO_PIN)


async def state_of(client: Client, session: int) -> int:
    values = await client.call("get_session_info", ulong(session))
    return int.from_bytes(values[8:16], "big")


async def test_a_locked_screen_ends_the_login(inside: Inside) -> None:
    client = await inside.client()
    await client.signed()
    inside.parts.sessions.lock_where(lambda _: True)

    assert logins(inside) == []
    await asyncio.gather(*(each.signed() for each in [client, *[await inside.client() for _ in range(11)]]))
    assert inside.dialogs == ["program", "login", "login"]


async def test_nothing_is_asked_behind_a_locked_screen_and_nothing_counts_as_refused(inside: Inside) -> None:
    client = await inside.client()
    inside.parts.dialogs.away = frozenset({inside.uid})
    for label in (b"CPS_PRIV_AUT", b"CPS_PRIV_SIG", b"CPS_PRIV_AUT", b"CPS_PRIV_AUT"):
        with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
            await client.signed(b"data", label)
    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await log_in(client, await client.session())
    assert inside.dialogs == []
    inside.parts.dialogs.away = frozenset()
    await client.signed()
    assert inside.dialogs == ["program", "login"]

    inside.parts.sessions.lock_where(lambda _: True)
    inside.parts.dialogs.away = frozenset({inside.uid})
    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await client.signed()
    assert len(await client.find(await client.session())) == 6
    assert inside.dialogs == ["program", "login"]


async def test_what_waits_for_its_turn_is_not_asked_once_the_screen_is_locked(inside: Inside) -> None:
    inside.person.attentive.clear()
    first, second = await inside.client(), await inside.client("/usr/bin/other")
    asked = asyncio.ensure_future(first.signed())
    await eventually(lambda: inside.person.open == ["program"])
    waiting = asyncio.ensure_future(second.signed())
    await soon()
    inside.parts.dialogs.away = frozenset({inside.uid})
    inside.person.attentive.set()

    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await waiting
    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await asked  # its PIN
    assert inside.dialogs == ["program"]


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_screen_that_is_locked_while_the_pin_is_on_its_way_to_the_card_stays_so(
    inside: Inside, is_first: bool
) -> None:
    """The PIN's own command is the second VERIFY: the first one asks how many tries are left."""
    client = await inside.client()
    lps = Caller(CallerKind.PROGRAM, "lps-1", "LPS", "urn:cardd:client:lps-1", Peer(inside.uid))
    session = None
    if not is_first:
        session, _ = await inside.parts.logins.cpx.open(lps, None)
        inside.parts.sessions.lock_where(lambda _: True)
    loop, done = asyncio.get_running_loop(), threading.Event()

    def lock() -> None:
        inside.parts.dialogs.away = frozenset({inside.uid})
        inside.parts.sessions.screens_locked(inside.parts.dialogs.away)
        done.set()

    def in_the_second() -> None:
        inside.reader.do_during(VERIFY, lambda: (loop.call_soon_threadsafe(lock), done.wait(5)))

    inside.reader.do_during(VERIFY, in_the_second)
    if session is not None:
        await inside.parts.signing.authenticate(session, "nonce")
        assert (done.is_set(), session.state, session.pin) == (True, SessionState.LOCKED, None)
        return
    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await client.signed()
    assert done.is_set()
    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await client.signed()
    assert inside.dialogs == ["program", "login"]
    inside.parts.dialogs.away = frozenset()
    inside.parts.sessions.screens_locked(frozenset())
    await client.signed()
    assert inside.dialogs == ["program", "login", "login"]


async def test_idleness_ends_the_login_and_use_puts_it_off(inside: Inside) -> None:
    client = await inside.client()
    await client.signed()
    for _ in range(3):
        inside.clock.seconds += inside.parts.sessions.rules.idle - 60
        await client.signed()
    assert inside.dialogs == ["program", "login"]
    inside.clock.seconds += inside.parts.sessions.rules.idle + 1
    await client.signed()

    assert inside.dialogs == ["program", "login", "login"]


async def test_the_login_lives_on_when_the_program_ends(inside: Inside) -> None:
    first = await inside.client()
    await first.signed()
    await first.close()
    await soon()
    await (await inside.client()).signed()

    assert inside.dialogs == ["program", "login"]


async def test_c_login_is_asked_about_once_and_c_logout_of_the_last_one_ends_it(inside: Inside) -> None:
    one, other = await inside.client(), await inside.client()
    sessions = [await one.session(), await other.session()]
    await asyncio.gather(log_in(one, sessions[0]), log_in(other, sessions[1]))
    assert inside.dialogs == ["program", "login"]
    assert [await state_of(one, sessions[0]), await state_of(other, sessions[1])] == [1, 1]

    with pytest.raises(Failed, match="USER_ALREADY_LOGGED_IN"):
        await log_in(one, sessions[0])
    await one.call("logout", ulong(sessions[0]))
    assert (logins(inside), await state_of(one, sessions[0])) == (["/usr/lib/browser/browser"], 0)
    await other.call("logout", ulong(sessions[1]))
    assert logins(inside) == []
    with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
        await other.call("logout", ulong(sessions[1]))


async def test_a_card_that_leaves_ends_its_sessions_and_its_slot_stays(inside: Inside) -> None:
    client = await inside.client()
    before = await client.slots()
    session = await client.session()
    await client.signed()
    inside.reader.remove()
    await eventually(lambda: not logins(inside))

    assert await client.slots() == before
    assert await client.slots(with_token=True) == []
    assert not await client.flags(1) & TOKEN_PRESENT
    for call, rv in (("get_session_info", Rv.SESSION_HANDLE_INVALID), ("get_token_info", Rv.TOKEN_NOT_PRESENT)):
        with pytest.raises(Failed, match=rv.name):
            await client.call(call, ulong(session if call == "get_session_info" else 1))
    with pytest.raises(Failed, match="TOKEN_NOT_PRESENT"):
        await client.session()


async def test_a_card_that_comes_again_is_in_the_same_slot_and_asks_for_its_pin(inside: Inside) -> None:
    client = await inside.client()
    await client.signed()
    inside.reader.remove()
    await eventually(lambda: not logins(inside))
    inside.reader.insert(simulated_card())
    await eventually(lambda: len(inside.parts.readers.every.cards()) == 1)

    assert await client.slots(with_token=True) == [1]
    await client.signed()
    assert inside.dialogs == ["program", "login", "login"]


@pytest.mark.parametrize(("happens", "rv"), [("removed", Rv.DEVICE_REMOVED), ("busy", Rv.DEVICE_ERROR)])
async def test_only_a_card_that_left_is_told_to_have_left(inside: Inside, happens: str, rv: Rv) -> None:
    """Programs close their sessions and forget the token of a device that was removed."""

    def busy() -> None:
        raise ReaderBusy(reader=inside.reader.name)

    client = await inside.client()
    await client.signed()
    inside.reader.do_during(INTERNAL_AUTHENTICATE, inside.reader.remove if happens == "removed" else busy)

    with pytest.raises(Failed, match=rv.name):
        await client.signed()


async def test_a_card_that_names_nobody_is_told_to_have_an_error_and_the_other_one_serves(inside: Inside) -> None:
    inside.other_reader.insert(simulated_card(behaviour=behaving(["no-national-id"])))
    await eventually(lambda: len(inside.parts.readers.every.cards()) == 2)
    client = await inside.client()
    session = await client.session(2)

    with pytest.raises(Failed, match="DEVICE_ERROR"):
        await client.sign(session, await client.key(session), b"data")
    assert await client.signed()


async def test_a_card_in_the_other_reader_has_its_own_slot(inside: Inside) -> None:
    client = await inside.client()
    before = await client.slots()
    inside.other_reader.insert(simulated_card("pharmacien"))
    await eventually(lambda: len(inside.parts.readers.every.cards()) == 2)

    assert await client.slots() == before
    assert await client.slots(with_token=True) == [1, 2]


@pytest.mark.parametrize("topic", ["program", "login"])
async def test_a_program_that_dies_while_it_is_asked_about_closes_the_dialog(inside: Inside, topic: str) -> None:
    if topic == "login":
        await (await inside.client()).signed()
        inside.parts.sessions.close_where(lambda _: True, "logout")
    inside.person.attentive.clear()
    client = await inside.client()
    signing = asyncio.ensure_future(client.signed())
    await eventually(lambda: inside.person.open == [topic])
    client.writer.transport.abort()

    with pytest.raises(asyncio.IncompleteReadError):
        await signing
    await eventually(lambda: not inside.person.open)
    assert logins(inside) == []


async def test_a_program_that_dies_while_the_card_signs_leaves_nothing_open(inside: Inside) -> None:
    dying, other = await inside.client(), await inside.client()
    await dying.signed()
    session = await dying.session()
    key = await dying.key(session)
    for _ in range(20):
        dying.send("sign_init", ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key))
        dying.send("sign", ulong(session) + octets(b"data") + room(512))
    await dying.writer.drain()
    await soon()
    dying.writer.transport.abort()

    assert await other.signed()
    assert inside.dialogs == ["program", "login"]


async def test_practice_software_signs_meanwhile(inside: Inside) -> None:
    """Both have the card in turns, and no session is broken."""
    lps = Caller(CallerKind.PROGRAM, "lps-1", "LPS", "urn:cardd:client:lps-1", Peer(inside.uid))
    session, _ = await inside.parts.logins.cpx.open(lps, None)
    clients = [await inside.client() for _ in range(4)]
    requests = [SignatureRequest(None, Message(bytes(32)), f"document {number}") for number in range(4)]

    results = await asyncio.gather(
        *(client.signed() for client in clients for _ in range(1)),
        *(inside.parts.signing.sign(session, [request], None) for request in requests),
        *(inside.parts.signing.authenticate(session, "nonce") for _ in range(4)),
    )

    assert len(results) == 12
    assert len(logins(inside)) == 2


async def test_who_waits_for_a_login_has_it_though_the_one_who_began_it_has_left(inside: Inside) -> None:
    inside.person.attentive.clear()
    first, second = await inside.client(), await inside.client()
    beginning, joining = asyncio.ensure_future(first.signed()), asyncio.ensure_future(second.signed())
    await eventually(lambda: inside.person.open == ["program"])
    first.writer.transport.abort()
    inside.person.attentive.set()

    assert await joining
    with pytest.raises(asyncio.IncompleteReadError):
        await beginning
    assert logins(inside) == ["/usr/lib/browser/browser"]


async def test_a_wrong_pin_and_the_last_try_are_told_so(inside: Inside) -> None:
    inside.person.pins[:] = ["9999", "9999"]
    client = await inside.client()
    with pytest.raises(Failed, match="PIN_INCORRECT"):
        await client.signed()
    with pytest.raises(Failed, match="FUNCTION_FAILED"):  # it has to wait
        await client.signed()
    inside.clock.seconds += 60
    inside.person.choice = Choice.NO
    with pytest.raises(Failed, match="PIN_INCORRECT"):
        await client.signed()

    assert inside.person.topics()[-1] == "last_try"
    assert len(inside.person.pin_questions) == 2


async def test_a_pin_that_is_cancelled_is_told_so(inside: Inside) -> None:
    inside.person.pins.clear()
    client = await inside.client()

    with pytest.raises(Failed, match="FUNCTION_CANCELED"):
        await client.signed()
    inside.person.pins.append("1234")
    assert await client.signed()


async def test_where_no_pin_is_held_each_use_says_what_it_is_for(tmp_path: Path) -> None:
    async with Inside(tmp_path, holds_pins=False) as inside:
        client = await inside.client()
        await client.signed(transcript("portail.example"))
        await client.signed(b"a mail")

        assert inside.dialogs == ["program", "program", "login", "lend", "lend"]
        _, login, mail = (each.question.params for each in inside.person.pin_questions)
        assert (login["server"], login["program_tls"], mail["program_data"]) == ("portail.example", "", "")
        assert "server" not in mail


async def test_another_session_goes_on_while_one_waits_for_a_person(inside: Inside) -> None:
    inside.person.attentive.clear()
    client, other = await inside.client(), await inside.client("/usr/bin/other")
    signing = asyncio.ensure_future(client.signed())
    await eventually(lambda: bool(inside.person.open))

    assert len(await other.find(await other.session())) == 6
    inside.person.attentive.set()
    assert await signing


async def test_a_daemon_that_stops_hangs_up_and_the_next_one_serves_whoever_comes(tmp_path: Path) -> None:
    async with Inside(tmp_path) as before:
        client = await before.client()
        await client.signed()
        await before.parts.lifecycle.stop()
        with pytest.raises(asyncio.IncompleteReadError):
            await client.answer()
    before.path.unlink()
    async with Inside(tmp_path, store=before.store) as after:
        assert await (await after.client()).signed()
