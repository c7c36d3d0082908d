"""Rules 6, 7 and 9: whose a session is, when it ends, and what is kept of its token."""

from __future__ import annotations

import asyncio

import pytest

from cardd.core.session import Session
from cardd.errors import SessionClosed, TooManyRequests
from cardd.identity.card_login import SESSIONS_MAX
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.waiting import eventually


async def opened(core: Core) -> tuple[Session, str]:
    core.person.pins = [PIN]
    return await core.login.open(CALLER, None)


async def test_the_token_itself_is_kept_nowhere(core: Core) -> None:
    session, token = await opened(core)
    assert token not in repr(session)
    assert len(token) >= 43  # 256 bits in base64


async def test_the_card_leaves_and_the_session_is_closed_before_anything_else_runs(core: Core) -> None:
    session, token = await opened(core)
    core.readers.card_removed("Lecteur de test")
    assert session.pin is None
    with pytest.raises(SessionClosed) as closed:
        core.sessions.authenticate(token, CALLER.id, 1000)
    assert closed.value.params == {"reason": "card_removed"}
    assert core.sessions.of(1000) == []


async def test_closing_wipes_the_pin_and_de_authenticates_the_card(core: Core) -> None:
    session, token = await opened(core)
    pin, resets = session.pin, core.card.resets
    assert pin
    core.sessions.close(session, "logout")
    await core.sessions.settle()
    assert not pin
    assert core.card.resets == resets + 1
    with pytest.raises(SessionClosed):
        core.sessions.authenticate(token, CALLER.id, 1000)


async def test_a_locked_screen_takes_the_pin_and_leaves_the_session(core: Core) -> None:
    session, token = await opened(core)
    core.sessions.lock_where(lambda found: found.caller.peer.uid == 1000)
    await core.sessions.settle()
    assert session.pin is None
    assert core.sessions.authenticate(token, CALLER.id, 1000).state == "locked"


async def test_one_client_opens_a_limited_number_of_sessions(core: Core) -> None:
    core.person.pins = [PIN] * (SESSIONS_MAX + 1)
    for _ in range(SESSIONS_MAX):
        await core.login.open(CALLER, None)
    with pytest.raises(TooManyRequests):
        await core.login.open(CALLER, None)


async def test_a_card_that_leaves_while_the_pin_is_typed_opens_nothing(core: Core) -> None:
    core.person.attentive.clear()
    core.person.pins = [PIN]
    login = asyncio.ensure_future(core.login.open(CALLER, None))
    await eventually(lambda: bool(core.person.pin_questions))
    core.reader.remove()
    core.person.attentive.set()
    [error] = await asyncio.gather(login, return_exceptions=True)
    assert getattr(error, "code", None) == "card.removed"
    assert core.sessions.of(1000) == []
