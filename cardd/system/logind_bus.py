"""One connection to the bus that logind is on: its signals, and who is at the machine (org.freedesktop.login1(5)).

Only messages of login1's present owner count: any program of the bus may send us a signal of that name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Self

from dbus_fast import BusType, ErrorType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError, InvalidMessageError, InvalidObjectPathError

from cardd.system.logind import DesktopEvent, Desktops, Notify, NotifyDesktops
from cardd.worker import Background

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"
LOGIND = "org.freedesktop.login1"
MANAGER = "org.freedesktop.login1.Manager"
MANAGER_PATH = "/org/freedesktop/login1"
SESSION = "org.freedesktop.login1.Session"
SEAT = "org.freedesktop.login1.Seat"
USER = "org.freedesktop.login1.User"
RULES = (
    f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{LOGIND}'",
    f"type='signal',sender='{LOGIND}',interface='{MANAGER}'",
    f"type='signal',sender='{LOGIND}',interface='{SESSION}'",
    f"type='signal',sender='{LOGIND}',interface='{PROPERTIES}',arg0='{SESSION}'",
    f"type='signal',sender='{LOGIND}',interface='{PROPERTIES}',arg0='{SEAT}'",
)
# the types of its signals, as far as they are heeded, and of its answers and properties
SIGNALS = {"PrepareForSleep": "b", "SessionRemoved": "so", "PropertiesChanged": "sa{sv}as"}
TYPES = {
    "ListSessions": "a(susso)", "ListSeats": "a(so)", "ActiveSession": "(so)", "Display": "(so)", "User": "(uo)",
    "LockedHint": "b", "Remote": "b", "Type": "s", "Class": "s",
}  # fmt: skip
COME_AND_GO = ("SessionNew", "SessionRemoved", "SeatNew", "SeatRemoved")
GRAPHICAL = ("x11", "wayland", "mir")
PERSON = "user"  # how the class of a person's session begins; others are greeters, lock screens, managers'
NONE = "/"  # the path of no session
TIMEOUT = 10.0
log = logging.getLogger(__name__)

FAULTS = (
    OSError, EOFError, AuthError, DBusError, InvalidAddressError, InvalidMessageError, InvalidObjectPathError,
)  # fmt: skip


class LogindBus:
    """A context, connected and subscribed inside. Raises ConnectionError on entry when there is no connection.

    ``owner_changed`` is told whether logind is on the bus, at first and whenever that changes. ``pause`` is how many
    seconds pass before a question is asked again that logind did not answer.
    """

    def __init__(
        self,
        notify: Notify,
        desktops_changed: NotifyDesktops,
        owner_changed: Callable[[bool], None],
        address: str | None,
        *,
        pause: float,
    ) -> None:
        self._pause = pause
        self._notify = notify
        self._desktops_changed = desktops_changed
        self._has_changed = False
        self._learning: asyncio.Task[None] | None = None
        self._owner_changed = owner_changed
        self._address = address
        self._owner: str | None = None
        self._users: dict[str, int] = {}
        self._background = Background()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(TIMEOUT):
                self._bus = await MessageBus(self._address, BusType.SYSTEM).connect()
                self._bus.add_message_handler(self._receive)
                for rule in RULES:
                    await self._call(BUS, BUS_PATH, BUS, "AddMatch", "s", rule, gives="")
                self._set_owner(await self._present_owner())
        except FAULTS as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._background.cancel()
        self._bus.disconnect()

    async def wait_closed(self) -> None:
        """Return when the bus is gone."""
        with contextlib.suppress(*FAULTS):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast left it untyped

    async def _call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *body: object, gives: str
    ) -> Any:
        """Return the answer, which is of the type ``gives``. Raises FAULTS."""
        message = Message(to, path, interface, member, signature=signature, body=list(body))
        async with asyncio.timeout(TIMEOUT):
            reply = await self._bus.call(message)
        if reply.message_type is not MessageType.METHOD_RETURN:
            raise DBusError(str(reply.error_name), member)
        if reply.signature != gives:
            raise DBusError(ErrorType.INVALID_SIGNATURE, f"{member}: {reply.signature}")
        return reply.body[0] if reply.body else None

    async def _present_owner(self) -> str | None:
        try:
            return str(await self._call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", LOGIND, gives="s"))
        except DBusError:
            return None

    def _set_owner(self, owner: str | None) -> None:
        self._owner = owner
        self._users.clear()
        self._owner_changed(owner is not None)
        if owner:
            self._spawn(self._learn_sessions())
            self._learn_again()

    def _receive(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == BUS and (message.member, message.signature) == ("NameOwnerChanged", "sss"):
            self._set_owner(message.body[2] or None)
        elif message.sender == self._owner:
            self._signal(message)

    def _signal(self, message: Message) -> None:
        session = str(message.path)
        if message.signature != SIGNALS.get(str(message.member), message.signature):
            return
        if message.member in COME_AND_GO or _tells_of_desktops(message):
            self._learn_again()
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
        for _, uid, _, _, session in await self._listed("ListSessions"):
            self._users[session] = uid
            if await self._property(session, "LockedHint"):
                self._notify(DesktopEvent.LOCK, uid)

    def _learn_again(self) -> None:
        """Ask who is at the machine, once more where it changes while the question is under way."""
        self._has_changed = True
        if self._learning is None or self._learning.done():
            self._learning = self._spawn(self._learn_desktops())

    async def _learn_desktops(self) -> None:
        while self._has_changed:
            self._has_changed = False
            try:
                found = await self._desktops()
            except FAULTS as fault:
                if self._owner is None:  # who comes back tells anew
                    return
                log.warning("logind does not tell who is at the machine: %s", fault)
                self._has_changed = True
                await asyncio.sleep(self._pause)
                continue
            if not self._has_changed:
                self._desktops_changed(found)

    async def _desktops(self) -> Desktops:
        sessions: dict[str, int] = {}
        main: dict[int, str] = {}
        seated: set[int] = set()
        shown: set[str] = set()
        locked: set[str] = set()
        for identifier, uid, _, _, path in await self._listed("ListSessions"):
            with contextlib.suppress(DBusError):  # it ended meanwhile, and that will be told
                if await self._is_desktop(path):
                    sessions[identifier] = uid
                    if await self._property(path, "LockedHint"):
                        locked.add(identifier)
        for _, seat in await self._listed("ListSeats"):
            with contextlib.suppress(DBusError):
                identifier, path = await self._property(seat, "ActiveSession", SEAT)
                if path != NONE and await self._is_persons(path) and not await self._property(path, "Remote"):
                    seated.add((await self._property(path, "User"))[0])
                    if not await self._property(path, "LockedHint"):
                        shown.add(identifier)
        for uid in set(sessions.values()):
            with contextlib.suppress(DBusError):
                user = await self._call(LOGIND, MANAGER_PATH, MANAGER, "GetUser", "u", uid, gives="o")
                display, _ = await self._property(user, "Display", USER)
                if display in sessions:
                    main[uid] = display
        return Desktops(frozenset(seated), sessions, frozenset(shown), main, frozenset(locked))

    async def _is_desktop(self, session: str) -> bool:
        return await self._property(session, "Type") in GRAPHICAL and await self._is_persons(session)

    async def _is_persons(self, session: str) -> bool:
        return str(await self._property(session, "Class")).startswith(PERSON)

    async def _listed(self, member: str) -> Any:
        return await self._call(LOGIND, MANAGER_PATH, MANAGER, member, gives=TYPES[member])

    async def _property(self, path: str, name: str, interface: str = SESSION) -> Any:
        found: Variant = await self._call(LOGIND, path, PROPERTIES, "Get", "ss", interface, name, gives="v")
        if found.signature != TYPES[name]:
            raise DBusError(ErrorType.INVALID_SIGNATURE, f"{name}: {found.signature}")
        return found.value

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        async def quietly() -> None:
            with contextlib.suppress(*FAULTS):  # the session or the bus went meanwhile: nothing is left to tell
                await work

        return self._background.start(quietly())


def _tells_of_desktops(message: Message) -> bool:
    """Return whether properties changed that say who is at the machine."""
    if message.member != "PropertiesChanged":
        return False
    interface, changed, invalidated = message.body
    names = {*changed, *invalidated}
    return interface == SEAT or bool(names & {"Active", "Type", "Class", "Remote", "LockedHint"})
