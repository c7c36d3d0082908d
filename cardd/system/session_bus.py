"""The session's bus, for what the desktop shows: connected at the first call, and again after a break."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
TIMEOUT = 10.0


def session_bus_address() -> str:
    """Return where the bus of this process's session is; empty where it has none."""
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    usual = Path(os.environ.get("XDG_RUNTIME_DIR", "")) / "bus"
    if not address and usual.is_absolute() and usual.exists() and stat.S_ISSOCK(usual.stat().st_mode):
        return f"unix:path={usual}"
    return address


class SessionBus:
    """The bus at this address; ``joined`` prepares each connection to it, before its first call."""

    def __init__(self, address: str, joined: Callable[[MessageBus], Awaitable[None]]) -> None:
        self._address = address
        self._joined = joined
        self._bus: MessageBus | None = None

    @property
    def is_connected(self) -> bool:
        """Whether we are on the bus now."""
        return self._bus is not None and self._bus.connected

    async def join(self) -> MessageBus:
        """Be on the bus. Raises OSError."""
        from dbus_fast import BusType  # noqa: PLC0415 - with the first call
        from dbus_fast.aio import MessageBus  # noqa: PLC0415

        if self._bus is None or not self._bus.connected:
            with _faults():
                async with asyncio.timeout(TIMEOUT):
                    self._bus = await MessageBus(self._address, BusType.SESSION).connect()
                    await self._joined(self._bus)
        return self._bus

    async def call(
        self,
        to: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *body: Any,
        gives: str,
        starts: bool = True,
    ) -> Message:
        """Return the answer, which is of the type ``gives``: any program of the session may have taken that name.

        Unless it ``starts``, a program that is not there is not started for this. Raises OSError.
        """
        from dbus_fast import Message, MessageFlag, MessageType  # noqa: PLC0415

        flags = MessageFlag.NONE if starts else MessageFlag.NO_AUTOSTART
        message = Message(to, path, interface, member, signature=signature, body=list(body), flags=flags)
        bus = await self.join()
        with _faults():
            async with asyncio.timeout(TIMEOUT):
                reply = await bus.call(message)
        if reply.message_type is not MessageType.METHOD_RETURN:
            raise OSError(str(reply.error_name))
        if reply.signature != gives:
            raise OSError(f"{member}: {reply.signature}")
        return reply

    def signal(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> None:
        """Tell everybody on the bus, where we are on it."""
        from dbus_fast import Message  # noqa: PLC0415

        if self._bus is not None and self._bus.connected:
            self._bus.send(Message.new_signal(path, interface, member, signature, list(body)))

    def leave(self) -> None:
        """Hang up."""
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None


@contextmanager
def _faults() -> Iterator[None]:
    """Raise OSError for whatever a bus does to us."""
    from dbus_fast.errors import AuthError, DBusError, InvalidAddressError, InvalidMessageError  # noqa: PLC0415

    try:
        yield
    except (EOFError, AuthError, DBusError, InvalidAddressError, InvalidMessageError, TimeoutError) as error:
        raise OSError(str(error) or type(error).__name__) from error


async def hear(bus: MessageBus, rule: str) -> None:
    """Have the bus give us the signals that this rule describes."""
    from dbus_fast import Message  # noqa: PLC0415

    await bus.call(Message(BUS, BUS_PATH, BUS, "AddMatch", signature="s", body=[rule]))
