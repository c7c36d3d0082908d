"""Notifications on the desktop, by which the status page opens: the real agent, on a bus of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from dbus_fast import Variant

from cardd.agent.notices import SENTENCES
from cardd.agent.server import AgentServer
from cardd.config import Config, Prompt
from cardd.core.news import News
from cardd.core.trail import AuditTrail
from cardd.daemon import Agents
from cardd.errors import ConsentRefused, ConsentTimeout
from cardd.model import Caller, CallerKind, Peer
from cardd.system.notifications import DesktopNotifications
from tests.rig.agent import agent_process
from tests.rig.logind import Bus
from tests.rig.memory import ManualClock, MemoryAudit
from tests.rig.notifications import EVERYTHING, Notifications, pretend_to_be_pressed
from tests.rig.waiting import eventually

pytestmark = pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="dbus is not installed")

LINK = "http://cardd-0.localhost:17463/#SIMULATION"
HOSTILE = '<img src="http://site.example/x"> & LPS'


class Links:
    """The status page's address, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.value: str | None = LINK

    def __call__(self, uid: int) -> str | None:
        self.asked.append(uid)
        return self.value


@asynccontextmanager
async def agents(directory: Path, links: Links) -> AsyncIterator[Agents]:
    """The daemon's side of the desktops; its server takes children of this process too."""
    made = Agents(Config(prompt=Prompt(agents="any")), lambda: AuditTrail(MemoryAudit()), links, 0.0)
    made.server = AgentServer(link=links)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "agent.sock"))
        listening.listen()
        made.server.start(listening)
        yield made
        await made.server.stop()


@contextmanager
def agent(directory: Path, bus: Bus) -> Iterator[Path]:
    """The real agent of this desktop; yield where its browser writes what it opens."""
    browser, opened = directory / "browser", directory / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    browser.chmod(0o755)
    around = {"DBUS_SESSION_BUS_ADDRESS": bus.address, "BROWSER": str(browser)}
    with agent_process(directory / "agent.sock", "/bin/false", environment=around):
        yield opened


def client(name: str) -> Caller:
    return Caller(CallerKind.PROGRAM, "1", name, "urn:1", Peer(os.getuid()))


async def tell(agents: Agents, desktop: Notifications, name: str = "LPS") -> None:
    """Have this told, once the agent has come, and shown."""
    before = len(desktop.shown)
    await eventually(lambda: agents.server.tell(os.getuid(), "let_in", {"client": name}))
    await eventually(lambda: len(desktop.shown) > before)


async def test_who_was_let_in_is_told_and_a_press_opens_the_status_page_once(tmp_path: Path, bus: Bus) -> None:
    links = Links()
    async with agents(tmp_path, links) as daemon, Notifications(bus.address) as desktop:
        with agent(tmp_path, bus) as opened:
            await tell(daemon, desktop, HOSTILE)
            shown = desktop.shown[-1]
            assert "demander votre carte" in shown.title
            assert "<" not in shown.text
            assert shown.actions[1] == "Voir la page d'état"
            for to in ("", desktop.asked_by):
                await pretend_to_be_pressed(bus.address, to, len(desktop.shown))
            assert links.asked == []
            for _ in range(2):
                await desktop.choose(len(desktop.shown))
            await eventually(lambda: opened.exists() and opened.read_text() != "")  # the shell makes the file first
            assert opened.read_text() == f"{LINK}\n"
            assert links.asked == [os.getuid()]


async def test_the_desktops_portal_opens_the_page_where_there_is_one_and_no_other_page(
    tmp_path: Path, bus: Bus
) -> None:
    links = Links()
    async with agents(tmp_path, links) as daemon, Notifications(bus.address, has_portal=True) as desktop:
        with agent(tmp_path, bus) as opened:
            for links.value in (None, "https://site.example/", LINK):
                await tell(daemon, desktop)
                await desktop.choose(len(desktop.shown))
                await eventually(partial(_was_asked, links, links.value))
            await eventually(lambda: desktop.opened == [LINK])
            assert not opened.exists()


def _was_asked(links: Links, value: str | None) -> bool:
    return len(links.asked) > [None, "https://site.example/", LINK].index(value)


async def test_without_buttons_the_command_is_named_and_names_stay_as_they_are(tmp_path: Path, bus: Bus) -> None:
    able = tuple(one for one in EVERYTHING if one == "body")
    async with agents(tmp_path, Links()) as daemon, Notifications(bus.address, able) as desktop:
        with agent(tmp_path, bus):
            await tell(daemon, desktop, HOSTILE)
            assert "cardctl open" in desktop.shown[-1].text
            assert desktop.shown[-1].actions == ()
            assert "&lt;" not in desktop.shown[-1].title


async def test_who_asked_while_nobody_was_there_is_told_and_who_was_refused_is_not(tmp_path: Path, bus: Bus) -> None:
    async with agents(tmp_path, Links()) as daemon, Notifications(bus.address) as desktop:
        with agent(tmp_path, bus):
            await tell(daemon, desktop)
            count = len(desktop.shown)
            news = News(
                Config(), daemon.server, ManualClock(), may_use=lambda *_: True, not_after=lambda _: datetime.now(UTC)
            )
            news.client_refused(client("Refusé"), "client.pair", ConsentRefused())
            news.client_let_in(client("Débloqué"), "client.unlock", None)
            news.client_refused(client("Tardif"), "origin.allow", ConsentTimeout())
            news.client_let_in(client("Nouveau"), "client.pair", "dialog")
            news.client_let_in(client("/usr/bin/curl"), "program.allow", "always")
            await eventually(lambda: len(desktop.shown) == count + 3)
            for shown, name in zip(desktop.shown[count:], ("Tardif", "Nouveau", "/usr/bin/curl"), strict=True):
                assert name in shown.title


async def test_each_notice_is_whole_in_french_and_one_about_a_card_takes_the_place_of_the_one_before(
    tmp_path: Path, bus: Bus
) -> None:
    params = {"client": "LPS", "card": "CPS3", "reader": "Lecteur A", "tries_left": "2", "days": "12"}
    async with agents(tmp_path, Links()) as daemon, Notifications(bus.address) as desktop:
        with agent(tmp_path, bus):
            await eventually(lambda: list(daemon.server.told()) == [os.getuid()])
            for topic in (*SENTENCES, "card_in"):
                daemon.server.tell(os.getuid(), topic, params)
            await eventually(lambda: len(desktop.shown) == len(SENTENCES) + 1)
            french = {one.title + one.text for one in desktop.shown}
            assert not [text for text in french if "{" in text or "The " in text or "Its " in text]
            assert len(french) == len(SENTENCES)
            first = list(SENTENCES).index("card_in") + 1
            assert [one.replaces for one in desktop.shown] == [0] * len(SENTENCES) + [first]
            daemon.server.tell(os.getuid(), "card_in", {"card": "CPS3"})  # what lacks a name is not shown
            await tell(daemon, desktop)
            assert len(desktop.shown) == len(SENTENCES) + 2


async def test_a_bus_without_notifications_keeps_the_agent_from_nothing(tmp_path: Path, bus: Bus) -> None:
    async with agents(tmp_path, Links()) as daemon:
        with agent(tmp_path, bus):
            await eventually(lambda: daemon.server.tell(os.getuid(), "let_in", {"client": "LPS"}))
            async with Notifications(bus.address) as desktop:
                await tell(daemon, desktop)
                assert daemon.server.waiting(os.getuid())


NO_ANSWERS: list[tuple[str, list[object]]] = [
    ("", []),
    ("u", [5]),
    ("s", ["actions"]),
    ("v", [Variant("u", 1)]),
    ("as", [["actions"]]),
]


async def test_a_desktop_that_answers_strangely_does_not_end_the_agent_which_shows_dialogs(
    tmp_path: Path, bus: Bus
) -> None:
    async with agents(tmp_path, Links()) as daemon, Notifications(bus.address) as desktop:
        with agent(tmp_path, bus):
            for member in ("GetCapabilities", "Notify"):
                for lie in NO_ANSWERS:
                    desktop.lies, before = {member: lie}, desktop.lied
                    await eventually(lambda: daemon.server.tell(os.getuid(), "let_in", {"client": "LPS"}))
                    await eventually(lambda before=before: desktop.lied > before)  # type: ignore[misc]
            desktop.lies = {}
            await desktop.press_strangely()
            await tell(daemon, desktop)
            assert daemon.server.waiting(os.getuid())


async def test_a_daemon_that_lies_has_the_agent_open_no_other_page_and_does_not_end_it(
    tmp_path: Path, bus: Bus
) -> None:
    lies = [
        b'{"topic": ["let_in"], "params": {}}',
        b'{"topic": "let_in", "params": {}}',
        b'{"topic": "later", "params": {"client": "LPS"}}',
        b'{"link": "http://cardd-0.localhost@site.example/#x"}',
        b'{"link": "file:///etc/passwd"}',
        b'{"topic": "let_in", "params": {"client": "LPS"}}',
    ]
    talks = iter([b"[]", b"[" * 4000, b"\n".join(lies)])  # each but the last ends its connection

    connected = []

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        if b"notices" in await reader.readline():
            writer.write(next(talks, b"") + b"\n")
            await reader.read()
        writer.close()

    async with Notifications(bus.address, has_portal=True) as desktop:
        server = await asyncio.start_unix_server(lie, str(tmp_path / "agent.sock"))
        with agent(tmp_path, bus) as opened:
            await eventually(lambda: len(desktop.shown) > 0)
            assert [one.title for one in desktop.shown] == ["« LPS » peut désormais demander votre carte"]
            assert (desktop.opened, opened.exists()) == ([], False)
        server.close()
        await asyncio.gather(*(one.wait_closed() for one in connected), return_exceptions=True)


async def test_what_came_of_an_act_takes_the_place_of_what_came_of_the_one_before(bus: Bus) -> None:
    shower = DesktopNotifications(bus.address, lambda _: False)
    async with Notifications(bus.address) as desktop:
        for sentence in ("Wrong PIN", "Wrong PIN again"):
            await shower.tell("SIMULATION", sentence, replaces="PIN")
        await shower.tell("SIMULATION", "Of something else")
        assert [one.replaces for one in desktop.shown] == [0, 1, 0]
        await desktop.close(1)
        await shower.tell("SIMULATION", "Changed", replaces="PIN")
        assert desktop.shown[-1].replaces == 0
    async with Notifications(bus.address) as desktop:  # a desktop that has started again has other numbers
        await shower.tell("SIMULATION", "Changed", replaces="PIN")
        assert desktop.shown[-1].replaces == 0
    shower.leave()


async def test_presses_that_come_together_open_one_page(bus: Bus) -> None:
    async with Notifications(bus.address, has_portal=True) as desktop:
        for together, pages in ((600.0, 1), (0.0, 5)):
            shower = DesktopNotifications(bus.address, lambda _: False, together=together)
            for _ in range(5):
                await shower.open(LINK)
            assert desktop.opened == [LINK] * pages
            desktop.opened.clear()
            shower.leave()


async def test_who_opens_the_page_from_a_menu_while_cardd_is_down_is_told_so(tmp_path: Path, bus: Bus) -> None:
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--socket", str(tmp_path / "none.sock"), "open"]
    around = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address, "LC_ALL": "fr_FR.UTF-8"}
    async with Notifications(bus.address) as desktop:
        for more in ([], ["--print"]):  # in a script, which reads what is printed
            null = asyncio.subprocess.DEVNULL
            ran = await asyncio.create_subprocess_exec(*command, *more, env=around, stdout=null, stderr=null)
            assert await ran.wait() == 3
        assert [one.title for one in desktop.shown] == ["cardd ne répond pas"]
        assert "systemctl start" in desktop.shown[0].text
        assert desktop.shown[0].actions == ()
