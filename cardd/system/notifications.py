"""The desktop's notifications, and its browser, by the session's bus.

Source: Desktop Notifications Specification 1.2 (freedesktop.org); XDG Desktop Portal, ``OpenURI``. The bus is reached
with the first notification: an idle agent holds no connection to it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from cardd.system.session_bus import SessionBus, hear

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
PORTAL, PORTAL_PATH, OPENING = (
    "org.freedesktop.portal.Desktop",
    "/org/freedesktop/portal/desktop",
    "org.freedesktop.portal.OpenURI",
)
CHOSEN = "default"  # what a press on the notification itself means, and our button
ICON = "contact-new"
SHOWN_MAX = 32  # notifications that can still be chosen or replaced; the oldest is forgotten
TOGETHER = 2.0  # seconds in which further presses mean the same page: a double click, or a browser that is slow to come


class DesktopNotifications:
    """Shows notifications over the bus at this address. Raises OSError where that cannot be done.

    Pages that are to be opened within ``together`` seconds are one.
    """

    def __init__(self, address: str, open_in_browser: Callable[[str], bool], *, together: float = TOGETHER) -> None:
        self._bus = SessionBus(address, self._joined)
        self._open_in_browser = open_in_browser
        self._together = together
        self._opened = -math.inf
        self._shown: dict[tuple[str, int], Callable[[], None]] = {}  # by the server that shows it, and its number
        self._places: dict[str, tuple[str, int]] = {}  # the last one of each name that a further one replaces
        self._pressed: set[tuple[str, int]] = set()  # sooner than we heard the number

    async def show(
        self, title: str, sentence: str, label: str, otherwise: str, chosen: Callable[[], None], *, replaces: str = ""
    ) -> None:
        """Show it, with a button; where there can be none with ``otherwise``. ``chosen`` is called once at most.

        With ``replaces`` it takes the place of the one before that has the same.
        """
        able, server = await self._able()
        can = "actions" in able
        actions = [CHOSEN, label, "open", label] if can else []
        number = self._number_of(replaces, server)
        self._pressed.clear()
        shown = await self._notify(title, sentence if can else f"{sentence} {otherwise}", able, actions, number)
        if shown in self._pressed:
            chosen()
            chosen = _nothing
        self._remember(shown, replaces, chosen)

    async def tell(self, title: str, sentence: str, *, replaces: str = "") -> None:
        """Show it, and no button; in the place of the one before that has the same ``replaces``."""
        able, server = await self._able()
        shown = await self._notify(title, sentence, able, [], self._number_of(replaces, server))
        self._remember(shown, replaces, _nothing)

    def _number_of(self, replaces: str, server: str) -> int:
        """Return the number of the last one of this name that the server still shows; 0 where there is none."""
        before = self._places.get(replaces)
        return before[1] if before and before in self._shown and before[0] == server else 0

    def _remember(self, shown: tuple[str, int], replaces: str, chosen: Callable[[], None]) -> None:
        if replaces:
            self._places[replaces] = shown
        self._shown[shown] = chosen
        for oldest in list(self._shown)[:-SHOWN_MAX]:
            del self._shown[oldest]

    async def _able(self) -> tuple[list[str], str]:
        """Return what the desktop's server of notifications can, and who it is."""
        reply = await self._bus.call(NAME, PATH, NAME, "GetCapabilities", gives="as")
        return reply.body[0], str(reply.sender)

    async def _notify(
        self, title: str, text: str, able: list[str], actions: list[str], number: int = 0
    ) -> tuple[str, int]:
        """Show it, in the place of this number's; return who shows it, and its number there."""
        from dbus_fast import Variant  # noqa: PLC0415 - with the first notification

        body = escape(text, quote=False) if "body-markup" in able else text
        hints = {"desktop-entry": Variant("s", "cardd")}
        given = ["cardd", number, ICON, title, body, actions, hints, -1]
        reply = await self._bus.call(NAME, PATH, NAME, "Notify", "susssasa{sv}i", *given, gives="u")
        return str(reply.sender), int(reply.body[0])

    async def open(self, address: str) -> None:
        """Show a page in the person's browser: by the desktop, whose child it then is, else by ourselves."""
        if time.monotonic() - self._opened < self._together:
            return
        self._opened = time.monotonic()
        try:
            await self._bus.call(PORTAL, PORTAL_PATH, OPENING, "OpenURI", "ssa{sv}", "", address, {}, gives="o")
        except OSError:
            await asyncio.to_thread(self._open_in_browser, address)

    def leave(self) -> None:
        """Hang up: nothing that was shown can be chosen any more."""
        self._bus.leave()

    async def _joined(self, bus: MessageBus) -> None:
        self._shown.clear()
        bus.add_message_handler(self._receive)
        await hear(bus, f"type='signal',sender='{NAME}',interface='{NAME}'")

    def _receive(self, message: Message) -> None:
        """Take the word of the server that shows it: any program of the bus may send such a signal."""
        if message.interface != NAME or message.signature not in ("us", "uu"):
            return
        key, is_press = (str(message.sender), message.body[0]), message.member == "ActionInvoked"
        if key in self._shown and (is_press or message.member == "NotificationClosed"):
            chosen = self._shown.pop(key)
            if is_press:
                chosen()
        elif is_press and len(self._pressed) < SHOWN_MAX:
            self._pressed.add(key)


def _nothing() -> None:
    """Do nothing: what is pressed has no button, or was pressed already."""
