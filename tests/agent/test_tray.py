"""The item in the desktop's tray: the real agent on a bus of its own, a watcher, and what other programs read of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from cardd.agent.server import AgentServer
from cardd.agent.tray import ICONS, TrayLine
from cardd.config import Config, Prompt
from cardd.model import Peer
from cardd.values import replace
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.agent import agent_process
from tests.rig.logind import Bus
from tests.rig.notifications import Notifications
from tests.rig.simulator import simulated_card
from tests.rig.tray import ITEM, ITEM_PATH, MENU, PROPERTIES, Tray
from tests.rig.waiting import eventually

pytestmark = pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="dbus is not installed")

US = os.getuid()
OURS = replace(CALLER, name="LPS_de <b>test</b>", peer=Peer(US))
LINK = "http://cardd-0.localhost:17463/#SIMULATION"
READER = "Lecteur de test"
SYSTEM_PYTHON = "/usr/bin/python3"
LIBDBUSMENU = Path(__file__).parents[1] / "rig/judges/menu.py"
HAS_LIBDBUSMENU = "import gi; gi.require_version('Dbusmenu', '0.4')"

ACTS = ["", "Verrouiller", "Se déconnecter", "Changer le code porteur…", "", "Page d'état"]


@asynccontextmanager
async def workstation(directory: Path) -> AsyncIterator[Core]:
    """The parts on a simulated card, and their agents' socket."""
    card = simulated_card(pin=PIN.encode())
    core = Core(InProcessReader(READER, card), card)
    await core.start()
    server = AgentServer(
        tray=lambda uid, language, connection: TrayLine(
            connection, lambda: LINK, partial(core.parts.trays.open, uid, language)
        )
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "agent.sock"))
        listening.listen()
        server.start(listening)
        yield core
        await server.stop()
    await core.stop()


def agent(directory: Path, bus: Bus, locale: str = "fr_FR.UTF-8") -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Return the real agent of this desktop, without its dialogs."""
    return agent_process(
        directory / "agent.sock",
        None,
        locale=locale,
        environment={"DBUS_SESSION_BUS_ADDRESS": bus.address},
        only="desktop",
    )


async def logged_in(core: Core) -> None:
    core.person.pins = [PIN]
    await core.login.open(OURS, None)


async def shows(tray: Tray, icon: str) -> None:
    """Wait until the item has this icon, which the panel was told of."""
    while await tray.icon() != icon:
        count = tray.told.count("NewIcon")
        if await tray.icon() != icon:
            await eventually(lambda count=count: tray.told.count("NewIcon") > count)  # type: ignore[misc]


async def test_the_icon_and_the_menu_follow_card_and_session_and_the_menu_acts(tmp_path: Path, bus: Bus) -> None:
    async with (
        workstation(tmp_path) as core,
        Tray(bus.address) as tray,
        Notifications(bus.address, has_portal=True) as desktop,
    ):
        with agent(tmp_path, bus):
            await eventually(lambda: bool(tray.items))
            assert tray.items[0].startswith("org.kde.StatusNotifierItem-")
            assert await tray.labels() == [f"Carte CPS3, lecteur « {READER} »", *ACTS]
            assert [told for _, told, is_enabled in await tray.menu() if is_enabled] == ACTS[3:4] + ACTS[5:]
            assert await tray.icon() == "cardd-card"
            await logged_in(core)
            await shows(tray, "cardd-open")
            assert (await tray.labels())[1] == "« LPS__de <b>test</b> »\N{NO-BREAK SPACE}: session ouverte"
            await tray.press("Verrouiller")
            await shows(tray, "cardd-locked")
            core.person.pins = [PIN, "4826", "4826"]
            await tray.press("Changer le code")
            await eventually(lambda: [one.title for one in desktop.shown] == ["Le code porteur est changé"])
            await shows(tray, "cardd-card")
            core.person.pins = ["4826"]
            await core.login.open(OURS, None)
            await shows(tray, "cardd-open")
            await tray.press("Se déconnecter")
            await shows(tray, "cardd-card")
            assert core.sessions.every() == []
            await tray.press("Page d'état")
            await eventually(lambda: desktop.opened == [LINK])
            await tray.activate()
            core.reader.remove()
            await shows(tray, "cardd-none")
            assert set(desktop.opened) == {LINK}  # once where both presses came within two seconds
            assert await tray.labels() == ["Aucune carte", *ACTS[:3], *ACTS[4:]]
        assert {"NewIcon", "NewTitle", "NewToolTip", "LayoutUpdated"} <= set(tray.told)


async def test_other_programs_read_the_item_and_press_its_menu(tmp_path: Path, bus: Bus) -> None:
    async with workstation(tmp_path) as core, Tray(bus.address) as tray:
        with agent(tmp_path, bus, "en_GB.UTF-8"):
            await eventually(lambda: bool(tray.items))
            await logged_in(core)
            await shows(tray, "cardd-open")
            told = await run("busctl", f"--address={bus.address}", "introspect", tray.items[0], ITEM_PATH, ITEM)
            rows = {line.split()[0]: line.split() for line in told.splitlines()[1:]}
            assert rows[".IconName"][1:4] == ["property", "s", '"cardd-open"']
            assert rows[".Title"][3:6] == ['"A', "session", "is"]
            assert rows[".Activate"][1:3] == ["method", "ii"]
            own = await tray.properties()
            assert {f".{name}" for name in own} == {name for name, row in rows.items() if row[1] == "property"}
            assert (Path(str(own["IconThemePath"])) / f"{own['IconName']}.svg").is_file()
            if not has_libdbusmenu():
                pytest.skip("gir1.2-dbusmenu-glib-0.4 is not installed")
            environment = {"DBUS_SESSION_BUS_ADDRESS": bus.address, "PATH": os.environ["PATH"]}
            read = await run(SYSTEM_PYTHON, str(LIBDBUSMENU), tray.items[0], "Log out", environment=environment)
            assert read.splitlines() == [
                f"-Card CPS3, reader “{READER}”",
                "-“LPS__de <b>test</b>”: session open",
                *("-", "Lock", "Log out", "Change the PIN…", "-", "Status page"),
            ]
            await shows(tray, "cardd-card")


async def test_the_item_comes_to_a_watcher_that_starts_later_or_again_and_leaves_with_the_daemon(
    tmp_path: Path, bus: Bus
) -> None:
    async with workstation(tmp_path) as core, Tray(bus.address, is_watching=False) as panel:
        with agent(tmp_path, bus) as process:
            for _ in range(2):
                async with Tray(bus.address) as tray:
                    await eventually(lambda tray=tray: bool(tray.items))  # type: ignore[misc]
                    assert await tray.icon() == "cardd-card"
                    panel.items = tray.items
            await logged_in(core)  # while nobody watches
            await eventually(lambda: "LayoutUpdated" in panel.told)
            assert await panel.icon() == "cardd-open"
            async with Tray(bus.address) as tray:
                await eventually(lambda: bool(tray.items))
                core.parts.lifecycle.reconfigured(Config(prompt=Prompt(tray=False)))
                await gone(bus, tray.items[0])
                core.parts.lifecycle.reconfigured(Config(prompt=Prompt(tray=True)))
                await eventually(lambda: len(tray.items) == 2)
                assert await tray.icon() == "cardd-open"
            assert process.poll() is None


async def gone(bus: Bus, name: str) -> None:
    """Wait until nobody has this name on the bus."""
    connection = await MessageBus(bus.address).connect()
    names = [name]
    while name in names:
        reply = await connection.call(Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames"))
        assert reply is not None
        [names] = reply.body
    connection.disconnect()


async def test_a_late_press_means_no_other_entry(tmp_path: Path, bus: Bus) -> None:
    async with workstation(tmp_path) as core, Tray(bus.address) as tray:
        with agent(tmp_path, bus):
            await eventually(lambda: bool(tray.items))
            await logged_in(core)
            await shows(tray, "cardd-open")
            before = await tray.menu()
            [lock] = [number for number, label, _ in before if label == "Verrouiller"]
            core.reader.remove()
            await shows(tray, "cardd-none")
            core.reader.insert(core.card)
            await shows(tray, "cardd-card")
            numbers = [number for number, _, _ in await tray.menu()]
            assert lock not in numbers
            for number in [*(number for number, *_ in before if number not in numbers), -1, 0, 2**31 - 1]:
                await tray.press_number(number)
            await logged_in(core)
            await shows(tray, "cardd-open")
            assert core.person.questions == []


STRANGE: list[tuple[str, str, str, str, list[object]]] = [
    (ITEM_PATH, ITEM, "Activate", "s", ["0"]),
    (ITEM_PATH, ITEM, "Explode", "", []),
    (ITEM_PATH, PROPERTIES, "Get", "ss", [ITEM, "Nothing"]),
    (ITEM_PATH, PROPERTIES, "Get", "as", [[ITEM]]),
    (f"{ITEM_PATH}/Menu", MENU, "GetLayout", "iias", [99, -1, []]),
    (f"{ITEM_PATH}/Menu", MENU, "GetLayout", "s", ["0"]),
    (f"{ITEM_PATH}/Menu", MENU, "GetProperty", "is", [99, "label"]),
    (f"{ITEM_PATH}/Menu", MENU, "Event", "as", [["clicked"]]),
    (f"{ITEM_PATH}/Nothing", MENU, "GetLayout", "iias", [0, -1, []]),
]


async def test_programs_that_ask_strangely_get_an_error_and_end_nothing(tmp_path: Path, bus: Bus) -> None:
    async with workstation(tmp_path), Tray(bus.address) as tray:
        with agent(tmp_path, bus):
            await eventually(lambda: bool(tray.items))
            for path, interface, member, signature, body in STRANGE:
                reply = await tray.call(path, interface, member, signature, *body)
                assert reply.message_type is MessageType.ERROR, (member, signature)
                assert "/" not in str(reply.body)
            several = [number for number, *_ in await tray.menu()] * 1000
            reply = await tray.call(f"{ITEM_PATH}/Menu", MENU, "GetGroupProperties", "aias", several, [])
            assert len(reply.body[0]) == 256
            assert await tray.icon() == "cardd-card"


def test_each_state_has_an_icon_that_is_a_picture() -> None:
    for state in ("none", "card", "open", "locked", "problem"):
        assert ET.parse(ICONS / f"cardd-{state}.svg").getroot().get("viewBox") == "0 0 128 128"


def has_libdbusmenu() -> bool:
    return subprocess.run([SYSTEM_PYTHON, "-c", HAS_LIBDBUSMENU], capture_output=True, check=False).returncode == 0


async def run(*command: str, environment: dict[str, str] | None = None) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode()
