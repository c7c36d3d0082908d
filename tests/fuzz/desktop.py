"""What a desktop says: the programs on its bus, logind, and the daemon to an agent that lends its readers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cardd.apdu import Protocol
from cardd.pcsc.lending import _Context
from cardd.pcsc.winscard import Disposition, Handle, ReaderState, WinScard
from cardd.system.dbus_menu import MENU
from cardd.system.logind_bus import LOGIND, MANAGER, MANAGER_PATH, SESSION, LogindBus
from cardd.system.notifications import NAME, PATH, DesktopNotifications
from cardd.system.session_bus import BUS, BUS_PATH
from cardd.system.tray import ITEM, ITEM_PATH, MENU_PATH, PROPERTIES, WATCHER, DesktopTray
from tests.fuzz.dbus import OWNER, STRANGER, Bus, Name
from tests.fuzz.parser import Parser
from tests.fuzz.talking import answering, on_loop, turns

SESSION_PATH, SEAT_PATH = "/org/freedesktop/login1/session/_31", "/org/freedesktop/login1/seat/seat0"
LOGIND_NAMES: tuple[Name, ...] = (
    (OWNER, MANAGER_PATH, MANAGER, "PrepareForSleep"),
    (OWNER, MANAGER_PATH, MANAGER, "SessionNew"),
    (OWNER, MANAGER_PATH, MANAGER, "SessionRemoved"),
    (OWNER, SESSION_PATH, SESSION, "Lock"),
    (OWNER, SESSION_PATH, SESSION, "Unlock"),
    (OWNER, SESSION_PATH, PROPERTIES, "PropertiesChanged"),
    (OWNER, SEAT_PATH, PROPERTIES, "PropertiesChanged"),
    (BUS, BUS_PATH, BUS, "NameOwnerChanged"),
)
NOTICE_NAMES: tuple[Name, ...] = (
    (OWNER, PATH, NAME, "ActionInvoked"),
    (OWNER, PATH, NAME, "NotificationClosed"),
    (STRANGER, PATH, NAME, "ActionInvoked"),
    (OWNER, PATH, NAME, "Other"),
)
_MENU = ("GetLayout", "GetGroupProperties", "GetProperty", "Event", "EventGroup", "AboutToShow", "AboutToShowGroup")
TRAY_NAMES: tuple[Name, ...] = (
    *((STRANGER, MENU_PATH, MENU, member) for member in _MENU),
    *((STRANGER, path, PROPERTIES, member) for path in (ITEM_PATH, MENU_PATH) for member in ("Get", "GetAll", "Set")),
    *((STRANGER, ITEM_PATH, ITEM, member) for member in ("Activate", "ContextMenu", "Scroll")),
    (STRANGER, ITEM_PATH, "org.freedesktop.DBus.Introspectable", "Introspect"),
    (BUS, BUS_PATH, BUS, "NameOwnerChanged"),
)
LENDING_WORDS = (
    b'{"call": "establish"}', b'"call": "readers"', b'"call": "wait", "states": [["Lecteur A", 0]], "timeout": 0',
    b'"call": "connect", "reader": "Lecteur A"', b'"handle": 1', b'"call": "transmit"', b'"call": "begin"',
    b'"call": "end"', b'"call": "control", "code": 1', b'"disposition": 1', b'"call": "reconnect"', b'"call": "atr"',
)  # fmt: skip


def _on_a_bus(names: Sequence[Name], use: Callable[[str, Bus], Awaitable[None]]) -> Callable[[bytes], object]:
    async def read(data: bytes) -> None:
        bus = Bus(data, names)
        async with bus.there() as address:
            await use(address, bus)

    return on_loop(read)


async def _logind(address: str, bus: Bus) -> None:
    with suppress(ConnectionError):
        made = LogindBus(lambda *_: None, lambda _: None, lambda _: None, address, pause=60)
        async with made:
            await turns()
            await bus.tell()


async def _notified(address: str, bus: Bus) -> None:
    shower = DesktopNotifications(address, lambda _: True)
    with suppress(OSError):
        await shower.show("SIMULATION", "SIMULATION", "Oui", "Non", lambda: None, replaces="a")
        await bus.tell()
        await shower.tell("SIMULATION", "SIMULATION")
    with suppress(OSError):
        await shower.open("http://localhost/")
    shower._bus.leave()


async def _tray(address: str, bus: Bus) -> None:
    shown = DesktopTray(address, Path("/icons"), "open")
    with suppress(OSError):
        await shown.show("card", "SIMULATION", [("open", "Ouvrir"), ("", "SIMULATION"), ("", "")], lambda _: None)
        await bus.tell()
        await shown.show("none", "SIMULATION 2", [("lock", "Verrouiller")], lambda _: None)
        await turns()
    await shown.hide()


# --- readers that are lent


class _Readers(WinScard):
    """PC/SC with one reader and one card, which answers 9000."""

    def __init__(self) -> None:
        pass

    def establish(self) -> int:
        """Begin."""
        return 1

    def release(self, context: int) -> None:
        """End."""

    def cancel(self, context: int) -> None:
        """Nobody waits."""

    def readers(self, context: int) -> list[str]:
        """One."""
        return ["Lecteur A"]

    def wait(self, context: int, known: Sequence[tuple[str, int]], timeout: int) -> list[ReaderState] | None:
        """Nothing changes."""
        return [ReaderState(name, state & 0xFFFF, b"\x3b\x00") for name, state in known]

    def connect(self, context: int, reader: str) -> Handle:
        """The card."""
        return Handle(context, 1, reader, Protocol.T1)

    def reconnect(self, handle: Handle, disposition: Disposition) -> Handle:
        """The card again."""
        return handle

    def disconnect(self, handle: Handle, disposition: Disposition) -> None:
        """Let it go."""

    def begin(self, handle: Handle) -> None:
        """Begin."""

    def end(self, handle: Handle) -> None:
        """End."""

    def transmit(self, handle: Handle, apdu: list[int]) -> bytes:
        """Answer."""
        return b"\x90\x00"

    def control(self, handle: Handle, code: int, data: list[int]) -> bytes:
        """Answer."""
        return b""

    def atr(self, handle: Handle) -> bytes:
        """Tell it."""
        return b"\x3b\x00"


def _lending(data: bytes) -> None:
    """The bytes as the daemon's questions to an agent that lends."""

    def serve(link: socket.socket) -> None:
        link.settimeout(2)
        context = _Context(link, _Readers())
        context.serve()
        assert context._has_ended.is_set()

    with contextlib.suppress(TimeoutError):
        answering(data, serve)


_BUS = ("cardd.system.session_bus",)

PARSERS: dict[str, Parser] = {
    "logind": Parser(_on_a_bus(LOGIND_NAMES, _logind), ("cardd.system.logind_bus",), words=(LOGIND.encode(),)),
    "notifications": Parser(_on_a_bus(NOTICE_NAMES, _notified), ("cardd.system.notifications", *_BUS)),
    "tray": Parser(
        _on_a_bus(TRAY_NAMES, _tray),
        ("cardd.system.tray", "cardd.system.dbus_menu", *_BUS),
        words=tuple(member.encode() for member in (WATCHER, ITEM, MENU, "clicked", "label", "enabled")),
    ),
    "lending": Parser(_lending, ("cardd.pcsc.lending", "cardd.frames"), words=LENDING_WORDS),
}
