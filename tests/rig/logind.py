"""A bus of the tests' own, and a simulator of systemd-logind on it: systemd is not PID 1 where tests run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from dbus_fast import Message, MessageType, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

NAME = "org.freedesktop.login1"
MANAGER = "org.freedesktop.login1.Manager"
MANAGER_PATH = "/org/freedesktop/login1"
SESSION = "org.freedesktop.login1.Session"
SEAT = "org.freedesktop.login1.Seat"
SEAT_PATH = "/org/freedesktop/login1/seat/seat0"
PROPERTIES = "org.freedesktop.DBus.Properties"


class Bus:
    """A real dbus-daemon on a socket in this directory."""

    def __init__(self, directory: Path) -> None:
        self.address = f"unix:path={directory}/bus"
        self._socket = directory / "bus"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it accepts connections when this returns."""
        self._socket.unlink(missing_ok=True)
        command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address", self.address]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert self._process.stdout.readline()

    def stop(self) -> None:
        """Stop it; every connection breaks."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=10)
            self._process = None


class SimulatedLogind:
    """Answers what cardd asks logind, and says what logind says. ``sessions`` maps a session's id to its user.

    ``active`` is the session on the screen of the only seat; ``remote`` are those without a seat, ``greeters`` those of
    nobody, and ``texts`` those without a desktop. The next ``faults`` questions about seats are not answered well.
    """

    def __init__(self, address: str, sessions: dict[str, int]) -> None:
        self.sessions = sessions
        self.locked: set[str] = set()
        self.active: str | None = None
        self.remote: set[str] = set()
        self.greeters: set[str] = set()
        self.texts: set[str] = set()
        self.faults = 0
        self._address = address

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(self._address).connect()
        self._bus.add_message_handler(self._answer)
        assert await self._bus.request_name(NAME) is RequestNameReply.PRIMARY_OWNER
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bus.disconnect()

    async def lock(self, session: str) -> None:
        """`loginctl lock-session`."""
        await self.signal(path(session), SESSION, "Lock")

    async def unlock(self, session: str) -> None:
        """`loginctl unlock-session`."""
        await self.signal(path(session), SESSION, "Unlock")

    async def hint(self, session: str, *, locked: bool) -> None:
        """The desktop's own screen lock says that it is on, or off."""
        self.locked = self.locked | {session} if locked else self.locked - {session}
        changed = {"LockedHint": Variant("b", locked)}
        await self.signal(path(session), PROPERTIES, "PropertiesChanged", "sa{sv}as", SESSION, changed, [])

    async def switch(self, session: str | None) -> None:
        """The seat shows another session."""
        self.active = session
        await self.signal(SEAT_PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", SEAT, {}, ["ActiveSession"])

    async def log_in(self, session: str, uid: int) -> None:
        """A session begins."""
        self.sessions[session] = uid
        await self.signal(MANAGER_PATH, MANAGER, "SessionNew", "so", session, path(session))

    async def sleep(self, *, begins: bool) -> None:
        """The machine is about to sleep, or woke up."""
        await self.signal(MANAGER_PATH, MANAGER, "PrepareForSleep", "b", begins)

    async def log_out(self, session: str) -> None:
        """The session ends."""
        del self.sessions[session]
        await self.signal(MANAGER_PATH, MANAGER, "SessionRemoved", "so", session, path(session))

    async def signal(self, where: str, interface: str, member: str, signature: str = "", *body: object) -> None:
        """Say it to everybody on the bus."""
        await self._bus.send(Message.new_signal(where, interface, member, signature, list(body)))

    def _answer(self, call: Message) -> Message | None:
        if call.message_type is not MessageType.METHOD_CALL:
            return None
        match call.member:
            case "ListSessions":
                listed = [[session, uid, "name", "seat0", path(session)] for session, uid in self.sessions.items()]
                return Message.new_method_return(call, "a(susso)", [listed])
            case "ListSeats":
                return self._seats(call)
            case "GetUser":
                return Message.new_method_return(call, "o", [user_path(call.body[0])])
            case "Get":
                return self._property(call, call.body[1])
        return Message.new_error(call, "org.freedesktop.DBus.Error.UnknownMethod", "no such method")

    def _seats(self, call: Message) -> Message:
        if self.faults:
            self.faults -= 1
            return Message.new_error(call, "org.freedesktop.DBus.Error.NoReply", "busy")
        return Message.new_method_return(call, "a(so)", [[["seat0", SEAT_PATH]]])

    def _property(self, call: Message, name: str) -> Message:
        if call.path == SEAT_PATH:
            shown = [self.active, path(self.active)] if self.active else ["", "/"]
            return Message.new_method_return(call, "v", [Variant("(so)", shown)])
        if name == "Display":
            main = min(session for session, uid in self.sessions.items() if user_path(uid) == call.path)
            return Message.new_method_return(call, "v", [Variant("(so)", [main, path(main)])])
        session = next((known for known in self.sessions if path(known) == call.path), None)
        if session is None:
            return Message.new_error(call, "org.freedesktop.DBus.Error.UnknownObject", "no such session")
        return Message.new_method_return(call, "v", [self._of_session(session, name)])

    def _of_session(self, session: str, name: str) -> Variant:
        match name:
            case "User":
                return Variant("(uo)", [self.sessions[session], user_path(self.sessions[session])])
            case "Class":
                return Variant("s", "greeter" if session in self.greeters else "user")
            case "Type":
                return Variant("s", "tty" if session in self.texts else "x11")
            case "Remote":
                return Variant("b", session in self.remote)
            case _:
                return Variant("b", session in self.locked)


def path(session: str) -> str:
    """A session's object path, escaped as systemd does."""
    return f"{MANAGER_PATH}/session/_3{session}"


def user_path(uid: int) -> str:
    """A user's object path."""
    return f"{MANAGER_PATH}/user/_{uid}"
