"""Dialogs through ``cardd-agent``, a real process that comes to the daemon's agent socket."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from time import monotonic

import pytest

from cardd.errors import CarddError, PromptUnavailable
from cardd.model import Choice, Question
from tests.agent.desk import Desk
from tests.agent.questions import US
from tests.rig.agent import agent_process, children
from tests.rig.pinentry import NO_PIN, ScriptedPinentry
from tests.rig.waiting import eventually


@pytest.fixture
def pinentry(tmp_path: Path) -> ScriptedPinentry:
    return ScriptedPinentry(tmp_path, pin="7319", reads=0)


async def test_a_pin_typed_at_the_desktop_arrives(desk: Desk, pinentry: ScriptedPinentry) -> None:
    with agent_process(desk.path, pinentry.path):
        await desk.has(1)
        assert await desk.ask() == b"7319"
    await desk.has(0)


async def test_a_question_is_answered_at_the_desktop(desk: Desk, pinentry: ScriptedPinentry) -> None:
    pinentry.answer("no", "yes", "no")
    origin = Question("origin", US, {"origin": "https://dmp.example"})
    with agent_process(desk.path, pinentry.path):
        await desk.has(1)
        assert await desk.dialogs.confirm(origin) is Choice.NO
        assert await desk.dialogs.confirm(origin) is Choice.YES
        remember = Question("origin", US, {"origin": "https://dmp.example"}, third=Choice.ALWAYS)
        assert await desk.dialogs.confirm(remember) is Choice.ALWAYS


async def test_the_next_question_may_come_as_soon_as_the_last_is_answered(
    desk: Desk, pinentry: ScriptedPinentry
) -> None:
    pins = ["1111", "2222", "3333", "4444"]
    pinentry.answer(*(f"pin:{pin}" for pin in pins))
    with agent_process(desk.path, pinentry.path):
        await desk.has(1)
        assert [(await desk.ask()).decode() for _ in pins] == pins


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("fr_FR.UTF-8", "« LPS de test » demande d'ouvrir une session avec votre carte."),
        ("en_GB.UTF-8", "“LPS de test” asks to open a session with your card."),
        ("C", "« LPS de test » demande d'ouvrir une session avec votre carte."),
    ],
)
async def test_the_dialog_speaks_the_desktops_language(
    desk: Desk, pinentry: ScriptedPinentry, locale: str, words: str
) -> None:
    with agent_process(desk.path, pinentry.path, locale=locale):
        await desk.has(1)
        await desk.ask()
    [shown] = pinentry.shown()
    assert shown.description.splitlines()[0] == words
    assert f"lc-messages={locale}" in shown.options
    assert any(option.startswith("lc-ctype=") and option.endswith("UTF-8") for option in shown.options)


async def test_the_agent_that_came_first_is_asked_and_the_other_when_it_has_left(
    desk: Desk, pinentry: ScriptedPinentry, tmp_path: Path
) -> None:
    (tmp_path / "later").mkdir()
    later = ScriptedPinentry(tmp_path / "later", pin="2468", reads=0)
    with agent_process(desk.path, pinentry.path):
        await desk.has(1)
        with agent_process(desk.path, later.path) as second:
            await eventually(lambda: bool(desk.refused))
            assert (desk.refused[0].uid, desk.refused[0].pid) == (US, second.pid)
            assert [await desk.ask(), await desk.ask()] == [b"7319", b"7319"]
            assert "pin" not in [shown.kind for shown in later.shown()]
    await desk.has(0)
    with agent_process(desk.path, later.path):
        await desk.has(1)
        assert await desk.ask() == b"2468"


async def test_an_agent_that_finds_its_place_taken_tells_the_person_once(
    desk: Desk, pinentry: ScriptedPinentry
) -> None:
    _, squatter = await asyncio.open_unix_connection(desk.path)
    squatter.write(b"OK cardd-agent fr\n")
    await desk.has(1)
    with agent_process(desk.path, pinentry.path) as agent:
        await eventually(lambda: bool(pinentry.shown()))
        [shown] = pinentry.shown()
        assert shown.kind == "message"
        assert "Un autre programme affiche les fenêtres de cardd" in shown.description
        assert agent.poll() is None
    squatter.close()


async def test_who_comes_again_and_again_beside_the_agent_is_reported_once(
    desk: Desk, pinentry: ScriptedPinentry
) -> None:
    with agent_process(desk.path, pinentry.path):
        await desk.has(1)
        for _ in range(50):
            _, squatter = await asyncio.open_unix_connection(desk.path)
            squatter.write(b"OK cardd-agent fr\n")
            squatter.close()
        await eventually(lambda: bool(desk.refused))
        assert await desk.ask() == b"7319"
    assert [refused.pid for refused in desk.refused] == [os.getpid()]


async def test_an_agent_that_leaves_serves_no_more_until_it_returns(desk: Desk, pinentry: ScriptedPinentry) -> None:
    for _ in range(2):
        with agent_process(desk.path, pinentry.path):
            await desk.has(1)
            assert await desk.ask() == b"7319"
        await desk.has(0)
        with pytest.raises(PromptUnavailable):
            await desk.ask()


@pytest.mark.parametrize(("answer", "error"), NO_PIN)
async def test_what_is_no_pin_is_told_and_the_agent_serves_again(
    desk: Desk, pinentry: ScriptedPinentry, answer: str, error: type[CarddError]
) -> None:
    pinentry.answer(answer)
    with agent_process(desk.path, pinentry.path) as agent:
        await desk.has(1)
        with pytest.raises(error):
            await desk.ask()
        assert await desk.ask() == b"7319"
        await eventually(lambda: not children(agent.pid))


async def test_an_agent_without_a_pinentry_is_told_and_stays(desk: Desk, tmp_path: Path) -> None:
    with agent_process(desk.path, tmp_path / "nothing") as agent:
        await desk.has(1)
        for _ in range(2):
            with pytest.raises(PromptUnavailable):
                await desk.ask()
        assert agent.poll() is None


async def test_a_question_that_is_withdrawn_ends_the_dialog_at_the_other_end(
    desk: Desk, pinentry: ScriptedPinentry
) -> None:
    pinentry.answer("hang")
    with agent_process(desk.path, pinentry.path) as agent:
        await desk.has(1)
        asking = asyncio.ensure_future(desk.ask())
        await eventually(lambda: len(pinentry.shown()) == 1)
        assert children(agent.pid)
        asking.cancel()
        await eventually(lambda: not children(agent.pid))
        assert await desk.ask() == b"7319"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_an_agent_that_ends_while_it_asks_ends_the_question(
    desk: Desk, pinentry: ScriptedPinentry, end: signal.Signals
) -> None:
    pinentry.answer("hang")
    with agent_process(desk.path, pinentry.path) as agent:
        await desk.has(1)
        asking = asyncio.ensure_future(desk.ask())
        await eventually(lambda: len(pinentry.shown()) == 1)
        [dialog] = children(agent.pid)
        agent.send_signal(end)
        with pytest.raises(PromptUnavailable):
            await asking
        await asyncio.to_thread(agent.wait, 10)
        if end is signal.SIGKILL:
            os.kill(dialog, signal.SIGKILL)  # ours: nobody else is left to end it


async def test_the_agent_finds_a_daemon_that_starts_later_or_again(desk: Desk, pinentry: ScriptedPinentry) -> None:
    await desk.stop()
    with agent_process(desk.path, pinentry.path):
        desk.start()
        await desk.has(1)
        assert await desk.ask() == b"7319"
        await desk.stop()
        desk.start()
        await desk.has(1)
        assert await desk.ask() == b"7319"


async def test_an_agent_that_is_sent_away_comes_back_less_and_less_often(
    tmp_path: Path, pinentry: ScriptedPinentry
) -> None:
    came: list[float] = []

    async def send_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readline()).startswith(b"OK cardd-agent "):  # its other connection does the same
            came.append(monotonic())
        writer.close()

    async with await asyncio.start_unix_server(send_away, tmp_path / "agent.sock"):
        with agent_process(tmp_path / "agent.sock", pinentry.path):
            await eventually(lambda: len(came) == 3)
    assert came[2] - came[1] > 1.5 * (came[1] - came[0])
