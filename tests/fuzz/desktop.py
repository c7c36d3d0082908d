"""What a desktop says: the programs on its bus, logind, and the daemon to an agent that lends its readers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from dbus_fast import Message, MessageType
from dbus_fast._private.unmarshaller import Unmarshaller

from cardd.apdu import Protocol
from cardd.pcsc.lending import _Context
from cardd.pcsc.winscard import Disposition, Handle, ReaderState, WinScard
from cardd.system.dbus_menu import MENU
from cardd.system.logind_bus import LOGIND, MANAGER, MANAGER_PATH, SESSION, LogindBus
from cardd.system.notifications import NAME, PATH, DesktopNotifications
from cardd.system.session_bus import BUS, BUS_PATH
from cardd.system.tray import ITEM, ITEM_PATH, MENU_PATH, PROPERTIES, WATCHER, DesktopTray
from tests.fuzz.parser import Parser
from tests.fuzz.talking import answering, on_loop, turns

OWNER, STRANGER = ":1.5", ":1.9"
GIVEN = {"Hello": ("s", b"\4\0\0\0:1.7\0"), "RequestName": ("u", b"\1\0\0\0"), "AddMatch": ("", b"")}
GIVEN["GetNameOwner"] = ("s", b"\4\0\0\0:1.5\0")
GUID = b"OK 00000000000000000000000000000001\r\n"
HEAD, SIGNATURE_MAX, SERIAL = 16, 255, 0x1000
RETURN, ERROR, SIGNAL, CALL = range(4)  # what a program says, as the first byte of a part has it
SESSION_PATH, SEAT_PATH = "/org/freedesktop/login1/session/_31", "/org/freedesktop/login1/seat/seat0"
Name = tuple[str, str, str, str]  # sender, path, interface, member
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


# --- a bus, as the D-Bus specification has it ("Message Format")


def message(kind: MessageType, name: Name, signature: str, body: bytes, *, answers: int = 0, serial: int = 1) -> bytes:
    """A message with this body, which is not looked at."""
    sender, path, interface, member = name
    parts = [(1, "o", path), (2, "s", interface), (3, "s", member), (7, "s", sender), (6, "s", ":1.7")]
    if kind is MessageType.METHOD_RETURN:
        parts = [(7, "s", sender)]
    if kind is MessageType.ERROR:
        parts = [(4, "s", "org.example.Error"), (7, "s", sender)]
    fields = b""
    for code, form, value in parts:
        text = value.encode()
        fields += bytes(-len(fields) % 8) + bytes((code, 1)) + form.encode() + b"\0"
        fields += len(text).to_bytes(4, "little") + text + b"\0"
    if answers:
        fields += bytes(-len(fields) % 8) + b"\5\1u\0" + answers.to_bytes(4, "little")
    if signature:
        fields += bytes(-len(fields) % 8) + b"\x08\1g\0" + bytes((len(signature),)) + signature.encode() + b"\0"
    head = bytes((0x6C, kind.value, 0, 1)) + len(body).to_bytes(4, "little") + serial.to_bytes(4, "little")
    return head + len(fields).to_bytes(4, "little") + fields + bytes(-len(fields) % 8) + body


def part(kind: int, name: int, signature: str, body: bytes) -> bytes:
    """A part of an input."""
    content = signature.encode() + b"\0" + body
    return bytes((kind, name)) + len(content).to_bytes(2) + content


def read(told: bytes) -> Message | None:
    """Return the message; None for what no bus lets pass."""
    try:
        return Unmarshaller(cast(Any, io.BytesIO(told))).unmarshall()
    except Exception:  # noqa: BLE001 - whatever dbus-fast raises then
        return None


class Bus:
    """The other programs of a bus, who say what the data has: an answer to each question, and before it the rest."""

    def __init__(self, data: bytes, names: Sequence[Name]) -> None:
        self._rest = data
        self._names = names

    def answer(self, serial: int, member: str) -> bytes:
        """What is said when this is asked."""
        if member in GIVEN:
            return message(MessageType.METHOD_RETURN, (BUS, "", "", ""), *GIVEN[member], answers=serial)
        said = b""
        while self._rest:
            kind, told = self._next(serial)
            said += told
            if kind in (RETURN, ERROR) and told:
                return said
        return said + message(MessageType.ERROR, (OWNER, "", "", ""), "", b"", answers=serial)

    def left(self) -> bytes:
        """What nobody asked for."""
        said = b""
        while self._rest:
            said += self._next(0)[1]
        return said

    def _next(self, serial: int) -> tuple[int, bytes]:
        """The next part; empty where it is none that a bus would let pass."""
        kind, size = self._rest[0] % 4, int.from_bytes(self._rest[2:4])
        name = self._names[self._rest[1] % len(self._names)] if len(self._rest) > 1 else self._names[0]
        content, self._rest = self._rest[4 : 4 + size], self._rest[4 + size :]
        signature, _, body = content.partition(b"\0")
        kinds = (MessageType.METHOD_RETURN, MessageType.ERROR, MessageType.SIGNAL, MessageType.METHOD_CALL)
        if len(signature) > SIGNATURE_MAX or (kind in (RETURN, ERROR) and not serial):
            return kind, b""
        if kind in (SIGNAL, CALL) and name[0] == BUS and signature != b"sss":  # the bus itself is right, dbus-fast says
            return kind, b""
        sender = (OWNER, "", "", "") if kind in (RETURN, ERROR) else name
        told = message(
            kinds[kind],
            sender,
            signature.decode("latin-1"),
            body,
            answers=serial if kind < SIGNAL else 0,
            serial=SERIAL,
        )
        return kind, told if read(told) else b""

    @asynccontextmanager
    async def there(self) -> AsyncIterator[str]:
        """Listen; give the address."""
        with tempfile.TemporaryDirectory(prefix="fuzz", dir="/tmp") as directory:
            path = str(Path(directory) / "bus")
            server = await asyncio.start_unix_server(self._serve, path)
            try:
                yield f"unix:path={path}"
            finally:
                server.close()
                self._writer.close()
                await turns(4)

    async def tell(self) -> None:
        """Say what is left."""
        self._writer.write(self.left())
        await turns()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(OSError, asyncio.IncompleteReadError):
            while not (line := await reader.readline()).startswith(b"BEGIN"):
                if not line:
                    return
                writer.write(GUID)
            while True:
                head = await reader.readexactly(HEAD)
                fields = int.from_bytes(head[12:16], "little")
                rest = await reader.readexactly(fields + -fields % 8 + int.from_bytes(head[4:8], "little"))
                asked = read(head + rest)
                if asked is not None and asked.message_type is MessageType.METHOD_CALL:
                    writer.write(self.answer(asked.serial, str(asked.member)))


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
