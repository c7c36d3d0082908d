"""What a desktop's tray is told of cards and sessions, and what is done from it: by the rules of the status page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from cardd.config import Access, Config, Prompt
from cardd.core.trays import Tray
from cardd.errors import PromptUnavailable
from cardd.model import CardKind, Outcome, Peer
from cardd.ports import Token
from cardd.values import replace
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, OTHER, PIN, Core
from tests.rig.waiting import eventually

NEW = "4826"
ANOTHER_USER = replace(CALLER, id="lps-3", name="LPS du remplaçant", peer=Peer(1001))
ALONE = "1000"  # whose the readers are, where they are not everybody's


@dataclass
class Shown:
    """A user's tray; ``told`` is all that it was told."""

    told: list[Mapping[str, object]] = field(default_factory=list)
    listens: bool = True
    tray: Tray = None  # type: ignore[assignment]

    def tell(self, told: Mapping[str, object]) -> bool:
        self.told.append(told)
        return self.listens

    @property
    def now(self) -> dict[str, list[dict[str, str]]]:
        """How cards and sessions stand, as it was told last."""
        return cast(dict[str, list[dict[str, str]]], self._state)

    @property
    def readers(self) -> object:
        """How the readers stand."""
        return cast(dict[str, object], self._state)["readers"]

    @property
    def _state(self) -> object:
        return [one["state"] for one in self.told if "state" in one][-1]

    def is_of(self, cards: int, *states: str) -> bool:
        """Return whether it shows so many cards, and sessions in these states."""
        now = self.now
        return len(now["cards"]) == cards and [one["state"] for one in now["sessions"]] == list(states)


@asynccontextmanager
async def shown(core: Core, uid: int = 1000) -> AsyncIterator[Shown]:
    made = Shown()
    made.tray = core.parts.trays.open(uid, "en", made.tell)
    await asyncio.sleep(0)
    assert made.told, "a tray is told how things stand in the next turn of the loop"
    yield made
    made.tray.close()


def of_user_1000_alone(core: Core, **prompt: bool) -> None:
    core.parts.lifecycle.reconfigured(Config(access=Access(owners=(ALONE,)), prompt=Prompt(**prompt)))  # type: ignore[arg-type]


async def opens(core: Core) -> None:
    for caller in (CALLER, OTHER):
        core.person.pins = [PIN]
        await core.login.open(caller, None)


async def test_the_tray_follows_cards_and_sessions_of_every_program_of_its_person(core: Core) -> None:
    async with shown(core) as tray, shown(core, 1001) as anothers:
        assert tray.is_of(1)
        assert tray.readers == "ready"
        [card] = tray.now["cards"]
        assert card["in_use"] == ""
        assert (card["kind"], card["reader"], card["problem"], card["pin"]) == ("CPS3", "Lecteur de test", "", "yes")
        await opens(core)
        await eventually(lambda: tray.is_of(1, "active", "active"))
        assert [(one["client"], one["card"]) for one in tray.now["sessions"]] == [
            *(("LPS de test", "yes"), ("Autre LPS", "yes")),
        ]
        await eventually(lambda: bool(anothers.now["cards"][0]["in_use"]))
        assert anothers.now["cards"][0]["in_use"] == "yes"
        assert anothers.now["sessions"] == []
        core.reader.remove()
        await eventually(lambda: tray.is_of(0))
        count = len(tray.told)
        core.reader.insert(core.card)
        await eventually(lambda: tray.is_of(1))
        assert len(tray.told) == count + 1  # told once, however much happened


async def test_lock_and_log_out_are_for_all_sessions_of_its_person_and_nobody_elses(core: Core) -> None:
    async with shown(core) as tray:
        await opens(core)
        core.person.pins = [PIN]
        taken_over = await core.login.open(ANOTHER_USER, None)
        assert taken_over[0].caller == ANOTHER_USER
        await eventually(lambda: tray.is_of(1))
        await opens(core)
        async with shown(core, 1001) as anothers:
            anothers.tray.lock()
            anothers.tray.log_out()
            await eventually(lambda: tray.is_of(1, "active", "active"))
        tray.tray.lock()
        await eventually(lambda: tray.is_of(1, "locked", "locked"))
        assert all(session.pin is None for session in core.sessions.every())
        heard = core.events.subscribe(CALLER.key)
        tray.tray.log_out()
        await eventually(lambda: tray.is_of(1))
        assert core.sessions.every() == []
        ended = await heard.next()
        assert ended is not None
        assert (ended.type, ended.data["reason"]) == ("session.closed", "logout")


async def test_a_session_without_a_card_is_shown_as_such_and_ended_and_not_locked(core: Core) -> None:
    async with shown(core) as tray:
        core.person.pins = [PIN]
        identity = (await core.login.open(CALLER, None))[0].identity
        core.sessions.open(
            session_id="of a phone", caller=OTHER, method="ecps", identity=identity, card=None, credentials={}
        )
        await eventually(lambda: tray.is_of(1, "active", "active"))
        assert [one["card"] for one in tray.now["sessions"]] == ["yes", ""]
        tray.tray.lock()
        await eventually(lambda: tray.is_of(1, "locked", "active"))
        tray.tray.log_out()
        await eventually(lambda: tray.is_of(1))


async def test_the_pin_is_changed_by_the_daemons_dialogs_one_at_a_time_and_what_came_of_it_is_told(core: Core) -> None:
    async with shown(core) as tray:
        [card] = tray.now["cards"]
        core.person.attentive.clear()
        core.person.pins = [PIN, NEW, NEW]
        for _ in range(5):
            tray.tray.change_pin(card["id"])
        await eventually(lambda: core.person.open == ["pin_change"])
        core.person.attentive.set()
        await eventually(lambda: {"done": "PIN"} in tray.told)
        assert [one.question.topic for one in core.person.pin_questions] == ["pin_change"] * 3
        assert core.person.pin_questions[0].question.params["client"] == "cardd-agent"
        [row] = [row for row in core.audit.entries if row.action == "pin.change"]
        assert (row.uid, row.caller_name, row.outcome) == (1000, "cardd-agent", Outcome.DONE)
        tray.tray.change_pin("of no card")
        await eventually(lambda: "failure" in tray.told[-1])
        core.person.fault = PromptUnavailable(why="cardd-agent")
        tray.tray.change_pin(card["id"])
        await eventually(lambda: [one for one in tray.told if "failure" in one][1:] != [])
        count = len(tray.told)
        core.person.fault, core.person.pins = None, []
        tray.tray.change_pin(card["id"])  # the person gives it up, and knows
        await eventually(lambda: len(core.person.pin_questions) == 5)
        await tray.tray.changed()
        assert len(tray.told) == count


async def test_who_refuses_it_again_and_again_is_asked_no_more(core: Core) -> None:
    async with shown(core) as tray:
        [card] = tray.now["cards"]
        for _ in range(6):
            tray.tray.change_pin(card["id"])
            await tray.tray.changed()
        assert len(core.person.pin_questions) == 3
        assert "failure" in tray.told[-1]


async def test_the_dialog_ends_with_the_desktop_that_asked_for_it(core: Core) -> None:
    async with shown(core) as tray:
        core.person.attentive.clear()
        tray.tray.change_pin(tray.now["cards"][0]["id"])
        await eventually(lambda: core.person.open == ["pin_change"])
    await eventually(lambda: core.person.open == [])


async def test_a_daemon_that_stops_ends_the_dialog_that_was_begun_from_a_tray(core: Core) -> None:
    async with shown(core) as tray:
        core.person.attentive.clear()
        tray.tray.change_pin(tray.now["cards"][0]["id"])
        await eventually(lambda: core.person.open == ["pin_change"])
        await core.parts.trays.stop()
        assert core.person.open == []


async def test_whom_the_readers_do_not_belong_to_is_told_of_no_card_and_changes_no_pin(core: Core) -> None:
    async with shown(core, 1001) as tray:
        [card] = tray.now["cards"]
        of_user_1000_alone(core)
        await eventually(lambda: tray.is_of(0))
        assert tray.readers == "not_yours"
        core.reader.remove()
        core.reader.insert(core.card)
        tray.tray.change_pin(card["id"])
        await eventually(lambda: "failure" in tray.told[-1])
        assert core.person.pin_questions == []
        assert [row.action for row in core.audit.entries] == ["reader.use"]
        assert tray.is_of(0)


async def test_a_tray_that_is_not_wanted_shows_and_does_nothing_and_comes_back_when_it_is(core: Core) -> None:
    async with shown(core) as tray:
        await opens(core)
        [card] = tray.now["cards"]
        of_user_1000_alone(core, tray=False)
        assert tray.told[-1] == {"state": None}
        tray.tray.lock()
        tray.tray.log_out()
        tray.tray.change_pin(card["id"])
        assert [session.state.value for session in core.sessions.every()] == ["active"] * 2
        of_user_1000_alone(core, tray=True)
        assert tray.is_of(1, "active", "active")
        assert core.person.questions == []


async def test_a_desktop_is_told_nothing_while_no_tray_is_wanted(core: Core) -> None:
    of_user_1000_alone(core, tray=False)
    desktop = Shown()
    tray = core.parts.trays.open(1000, "en", desktop.tell)
    await eventually(lambda: core.events.listeners == 1)
    assert desktop.told == []
    tray.close()


async def test_a_patients_card_and_one_without_an_answer_are_shown_with_what_is_wrong(core: Core) -> None:
    async with shown(core) as tray:
        core.reader.remove()
        await eventually(lambda: tray.is_of(0))
        core.readers.card_inserted("Lecteur de test", bytes.fromhex("3B751300004309EA9000"))
        await eventually(lambda: tray.is_of(1) and bool(tray.now["cards"][0]["problem"]))
        [card] = tray.now["cards"]
        assert (card["kind"], card["problem"], card["pin"]) == ("VITALE", "Vitale card", "")
        core.readers.readers_available(available=False)
        core.readers.reader_removed("Lecteur de test")
        await eventually(lambda: tray.readers == "unavailable")


async def test_a_key_file_is_shown_without_a_pin_to_change(core: Core) -> None:
    async with shown(core) as tray:
        core.readers.reader_added(InProcessReader("cabinet.p12"))
        core.readers.token_inserted("cabinet.p12", Token(CardKind.PKCS12))
        await eventually(lambda: tray.is_of(2))
        assert {(card["kind"], card["reader"], card["problem"], card["pin"]) for card in tray.now["cards"]} == {
            *(("CPS3", "Lecteur de test", "", "yes"), ("PKCS12", "cabinet.p12", "", "")),
        }


async def test_a_desktop_that_left_is_told_nothing_more(core: Core) -> None:
    async with shown(core) as tray:
        tray.tray.close()
        count = len(tray.told)
        await opens(core)
        await asyncio.sleep(0)
        assert len(tray.told) == count
        assert core.events.listeners == 0
