"""A desktop's notifications on a bus of the tests' own, and its portal where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from dbus_fast import Message, MessageType, RequestNameReply
from dbus_fast.aio import MessageBus

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
PORTAL = "org.freedesktop.portal.Desktop"
EVERYTHING = ("actions", "body", "body-markup")


@dataclass(frozen=True)
class Shown:
    """One notification as it was asked for."""

    title: str
    text: str
    actions: tuple[str, ...]
    replaces: int = 0


class Notifications:
    """Shows everything to nobody; ``opened`` are the addresses that the portal was given.

    ``asked_by`` is the connection that asked last. ``lies`` has another answer to a method: its signature and body.
    """

    def __init__(self, address: str, able: tuple[str, ...] = EVERYTHING, *, has_portal: bool = False) -> None:
        self.shown: list[Shown] = []
        self.opened: list[str] = []
        self.asked_by = ""
        self.lies: dict[str, tuple[str, list[object]]] = {}
        self.lied = 0
        self._address = address
        self._able = able
        self._has_portal = has_portal

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(self._address).connect()
        self._bus.add_message_handler(self._answer)
        for name in (NAME, *([PORTAL] if self._has_portal else [])):
            assert await self._bus.request_name(name) is RequestNameReply.PRIMARY_OWNER
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bus.disconnect()

    async def choose(self, number: int) -> None:
        """The person presses the notification of this number, from 1."""
        await self._bus.send(Message.new_signal(PATH, NAME, "ActionInvoked", "us", [number, "default"]))

    async def close(self, number: int) -> None:
        """The person closes the notification of this number."""
        await self._bus.send(Message.new_signal(PATH, NAME, "NotificationClosed", "uu", [number, 2]))
        await self._bus.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")  # it has gone before this answer

    async def press_strangely(self) -> None:
        """Tell of a press whose number is none."""
        await self._bus.send(Message.new_signal(PATH, NAME, "ActionInvoked", "ass", [["1"], "default"]))

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member in self.lies:
            self.lied += 1
            return Message.new_method_return(message, *self.lies[message.member])
        match message.member:
            case "GetCapabilities":
                return Message.new_method_return(message, "as", [list(self._able)])
            case "Notify":
                _, replaces, _, title, text, actions, _, _ = message.body
                self.asked_by = str(message.sender)
                self.shown.append(Shown(title, text, tuple(actions), replaces))
                return Message.new_method_return(message, "u", [replaces or len(self.shown)])
            case "OpenURI":
                self.opened.append(message.body[1])
                return Message.new_method_return(message, "o", ["/request"])
        return None


async def pretend_to_be_pressed(address: str, to: str, number: int) -> None:
    """Send the signal of a press as another program of the bus, straight to one connection or to all."""
    bus = await MessageBus(address).connect()
    signal = Message.new_signal(PATH, NAME, "ActionInvoked", "us", [number, "default"])
    signal.destination = to or None
    await bus.send(signal)
    await bus.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")  # the signal has gone before this answer
    bus.disconnect()
