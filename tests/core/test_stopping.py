"""The daemon stops: sessions end first, the audit log last, and nothing that hangs keeps the rest."""

from __future__ import annotations

import asyncio

from cardd.assembly import assemble
from cardd.config import Access, Config
from cardd.core.lifecycle import Outer
from cardd.values import replace
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.outside import Around
from tests.rig.prompter import ScriptedPrompter


async def test_every_pin_is_wiped_and_every_card_de_authenticated(core: Core) -> None:
    core.person.pins = [PIN, PIN]
    sessions = [(await core.login.open(CALLER, None))[0] for _ in range(2)]
    held, resets = [session.pin for session in sessions], core.card.resets
    assert all(held)
    await core.stop()
    assert not any(held)
    assert core.card.resets > resets
    assert core.sessions.of(CALLER.peer.uid) == []


async def test_a_login_under_way_opens_nothing_and_is_recorded(core: Core) -> None:
    core.person.attentive.clear()
    core.person.pins = [PIN]
    opening = asyncio.ensure_future(core.login.open(CALLER, None))
    await core.person.is_asked.wait()
    await core.sessions.stop()
    core.person.attentive.set()
    [error] = await asyncio.gather(opening, return_exceptions=True)
    assert getattr(error, "code", None) == "session.closed"
    assert core.sessions.of(CALLER.peer.uid) == []
    assert core.audit.acts()[-1] == "session.open refused"


async def test_who_listens_hears_of_the_end_and_the_audit_log_is_closed_last(simulated_card: SimulatedCard) -> None:
    closed: list[str] = []
    reader = InProcessReader("Lecteur de test", simulated_card)
    around = Around(person=ScriptedPrompter(PIN)).made(InProcessReaders([reader]))
    outer = [_noting("audit", closed), _noting("agents", closed), *around.parts]
    parts = assemble(Config(access=Access(owners=("*",))), replace(around, parts=outer))
    await parts.lifecycle.start()
    await parts.lifecycle.watch()
    await parts.logins.cpx.open(CALLER, None)
    listener = parts.events.subscribe(CALLER.key)
    await parts.lifecycle.stop()
    event = await listener.next()
    assert event
    assert (event.type, event.data["reason"]) == ("session.closed", "daemon_stopped")
    assert await listener.next() is None
    assert closed == ["agents", "audit"]


def _noting(name: str, closed: list[str]) -> Outer:
    async def stop() -> None:
        closed.append(name)

    return Outer(name, stopping=stop)
