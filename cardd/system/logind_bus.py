"""One connection to the bus that logind is on: its signals, and which session is whose (org.freedesktop.login1(5)).

Only messages of login1's present owner count: any program of the bus may send us a signal of that name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError, InvalidMessageError

from cardd.system.logind import DesktopEvent, Notify

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"
LOGIND = "org.freedesktop.login1"
MANAGER = "org.freedesktop.login1.Manager"
MANAGER_PATH = "/org/freedesktop/login1"
SESSION = "org.freedesktop.login1.Session"
RULES = (
    f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{LOGIND}'",
    f"type='signal',sender='{LOGIND}',interface='{MANAGER}',member='PrepareForSleep'",
    f"type='signal',sender='{LOGIND}',interface='{MANAGER}',member='SessionRemoved'",
    f"type='signal',sender='{LOGIND}',interface='{SESSION}'",
    f"type='signal',sender='{LOGIND}',interface='{PROPERTIES}',arg0='{SESSION}'",
)
TIMEOUT = 10.0
FAULTS = (OSError, EOFError, AuthError, DBusError, InvalidAddressError, InvalidMessageError)


class LogindBus:
    """A context, connected and subscribed inside. Raises ConnectionError on entry when there is no connection.

    ``owner_changed`` is told whether logind is on the bus, at first and whenever that changes.
    """

    def __init__(self, notify: Notify, owner_changed: Callable[[bool], None], address: str | None) -> None:
        self._notify = notify
        self._owner_changed = owner_changed
        self._address = address
        self._owner: str | None = None
        self._users: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(TIMEOUT):
                self._bus = await MessageBus(self._address, BusType.SYSTEM).connect()
                self._bus.add_message_handler(self._receive)
                for rule in RULES:
                    await self._call(BUS, BUS_PATH, BUS, "AddMatch", "s", rule)
                self._set_owner(await self._present_owner())
        except FAULTS as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self._bus.disconnect()

    async def wait_closed(self) -> None:
        """Return when the bus is gone."""
        with contextlib.suppress(*FAULTS):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast left it untyped

    async def _call(self, to: str, path: str, interface: str, member: str, signature: str = "", *body: object) -> Any:
        message = Message(to, path, interface, member, signature=signature, body=list(body))
        async with asyncio.timeout(TIMEOUT):
            reply = await self._bus.call(message)
        if reply.message_type is not MessageType.METHOD_RETURN:
            raise DBusError(str(reply.error_name), member)
        return reply.body[0] if reply.body else None

    async def _present_owner(self) -> str | None:
        try:
            return str(await self._call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", LOGIND))
        except DBusError:
            return None

    def _set_owner(self, owner: str | None) -> None:
        self._owner = owner
        self._users.clear()
        self._owner_changed(owner is not None)
        if owner:
            self._spawn(self._learn_sessions())

    def _receive(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == BUS and message.member == "NameOwnerChanged":
            self._set_owner(message.body[2] or None)
        elif message.sender == self._owner:
            self._signal(message)

    def _signal(self, message: Message) -> None:
        session = str(message.path)
        match str(message.interface).rpartition(".")[2], message.member:
            case "Manager", "PrepareForSleep" if message.body[0]:
                self._notify(DesktopEvent.SUSPEND, None)
            case "Manager", "SessionRemoved":
                self._users.pop(message.body[1], None)
            case "Session", "Lock":
                self._tell(DesktopEvent.LOCK, session)
            case "Session", "Unlock":
                self._tell(DesktopEvent.UNLOCK, session)
            case "Properties", "PropertiesChanged" if "LockedHint" in message.body[1]:
                locked = message.body[1]["LockedHint"].value
                self._tell(DesktopEvent.LOCK if locked else DesktopEvent.UNLOCK, session)

    def _tell(self, event: DesktopEvent, session: str) -> None:
        if session in self._users:
            self._notify(event, self._users[session])
        else:
            self._spawn(self._tell_later(event, session))

    async def _tell_later(self, event: DesktopEvent, session: str) -> None:
        user = await self._property(session, "User")
        self._users[session] = user[0]
        self._notify(event, user[0])

    async def _learn_sessions(self) -> None:
        """Find out who is there, and whose screen was locked while nobody listened."""
        for _, uid, _, _, session in await self._call(LOGIND, MANAGER_PATH, MANAGER, "ListSessions"):
            self._users[session] = uid
            if await self._property(session, "LockedHint"):
                self._notify(DesktopEvent.LOCK, uid)

    async def _property(self, session: str, name: str) -> Any:
        found: Variant = await self._call(LOGIND, session, PROPERTIES, "Get", "ss", SESSION, name)
        return found.value

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(*FAULTS):  # the session or the bus went meanwhile: nothing is left to tell
                await work

        task = asyncio.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
