"""An item in the desktop's tray, by the session's bus.

Source: StatusNotifierItem (freedesktop.org). The desktop's watcher is told of the item when the item appears, and again
when a watcher comes or comes back; where there is none, the item is on the bus and nobody draws it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cardd.system.dbus_menu import DESCRIBED as MENU_DESCRIBED
from cardd.system.dbus_menu import MENU, ROOT, DBusMenu
from cardd.system.session_bus import BUS, SessionBus, hear
from cardd.worker import Background

if TYPE_CHECKING:
    from dbus_fast import Message, Variant
    from dbus_fast.aio import MessageBus

ITEM, ITEM_PATH, MENU_PATH = "org.kde.StatusNotifierItem", "/StatusNotifierItem", "/StatusNotifierItem/Menu"
WATCHER, WATCHER_PATH = "org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher"
PROPERTIES, INTROSPECTABLE = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.Introspectable"
ICONS = "a(iiay)"
OWNER_CHANGED = "NameOwnerChanged"
METHODS = {"Activate": "ii", "SecondaryActivate": "ii", "ContextMenu": "ii", "Scroll": "is"}
DESCRIBED = """<interface name="org.kde.StatusNotifierItem">
<property name="Category" type="s" access="read"/><property name="Id" type="s" access="read"/>
<property name="Title" type="s" access="read"/><property name="Status" type="s" access="read"/>
<property name="WindowId" type="i" access="read"/><property name="IconThemePath" type="s" access="read"/>
<property name="IconName" type="s" access="read"/><property name="IconPixmap" type="a(iiay)" access="read"/>
<property name="OverlayIconName" type="s" access="read"/>
<property name="OverlayIconPixmap" type="a(iiay)" access="read"/>
<property name="AttentionIconName" type="s" access="read"/>
<property name="AttentionIconPixmap" type="a(iiay)" access="read"/>
<property name="AttentionMovieName" type="s" access="read"/>
<property name="ToolTip" type="(sa(iiay)ss)" access="read"/><property name="ItemIsMenu" type="b" access="read"/>
<property name="Menu" type="o" access="read"/>
<method name="ContextMenu"><arg type="i" direction="in"/><arg type="i" direction="in"/></method>
<method name="Activate"><arg type="i" direction="in"/><arg type="i" direction="in"/></method>
<method name="SecondaryActivate"><arg type="i" direction="in"/><arg type="i" direction="in"/></method>
<method name="Scroll"><arg type="i" direction="in"/><arg type="s" direction="in"/></method>
<signal name="NewTitle"/><signal name="NewIcon"/><signal name="NewAttentionIcon"/><signal name="NewOverlayIcon"/>
<signal name="NewToolTip"/><signal name="NewStatus"><arg type="s"/></signal>
</interface>"""


class DesktopTray:
    """The item at this bus. An icon is a file's name in ``icons``, without its end; pressed itself, it is ``act``."""

    def __init__(self, address: str, icons: Path, act: str) -> None:
        self._bus = SessionBus(address, self._joined)
        self._icons = icons
        self._act = act
        self._name = f"{ITEM}-{os.getpid()}-1"
        self._icon = self._title = ""
        self._menu = DBusMenu(self._press)
        self._chosen: Callable[[str], None] = lambda _: None
        self._registering = Background()

    async def show(
        self, icon: str, title: str, entries: Sequence[tuple[str, str]], chosen: Callable[[str], None]
    ) -> None:
        """Show this icon, with its title and its menu; ``chosen`` gets the act of an entry that is pressed.

        An entry is an act and a label: without an act it only tells, without a label it is a line between others.
        Raises OSError.
        """
        self._chosen = chosen
        has_icon, self._icon = icon != self._icon, icon
        has_title, self._title = title != self._title, title
        has_menu = self._menu.change(entries)
        if not self._bus.is_connected:
            await self._bus.join()
            await self._register()
            return
        if has_icon:
            self._bus.signal(ITEM_PATH, ITEM, "NewIcon")
        if has_title:
            self._bus.signal(ITEM_PATH, ITEM, "NewTitle")
            self._bus.signal(ITEM_PATH, ITEM, "NewToolTip")
        if has_menu:
            self._bus.signal(MENU_PATH, MENU, "LayoutUpdated", "ui", self._menu.revision, ROOT)

    async def hide(self) -> None:
        """Leave the tray, and the bus."""
        await self._registering.cancel()
        self._bus.leave()

    async def _joined(self, bus: MessageBus) -> None:
        bus.add_message_handler(self._receive)
        await bus.request_name(self._name)
        await hear(bus, f"type='signal',sender='{BUS}',member='{OWNER_CHANGED}',arg0='{WATCHER}'")

    async def _register(self) -> None:
        """Tell the watcher of the item, where there is one."""
        with contextlib.suppress(OSError):
            given = (self._name,)
            await self._bus.call(
                WATCHER, WATCHER_PATH, WATCHER, "RegisterStatusNotifierItem", "s", *given, gives="", starts=False
            )

    def _press(self, act: str) -> None:
        self._chosen(act)

    def _receive(self, message: Message) -> Message | None:
        """Answer who draws the item; a watcher that comes is told of it. Raises DBusError."""
        from dbus_fast import MessageType  # noqa: PLC0415 - once there is a tray

        if message.message_type is MessageType.METHOD_CALL and message.path in (ITEM_PATH, MENU_PATH):
            answers = {
                (PROPERTIES, ITEM_PATH): self._told,
                (PROPERTIES, MENU_PATH): self._told,
                (INTROSPECTABLE, ITEM_PATH): self._described,
                (INTROSPECTABLE, MENU_PATH): self._described,
                (ITEM, ITEM_PATH): self._called,
                (MENU, MENU_PATH): self._menu.answer,
            }
            answer = answers.get((str(message.interface), message.path))
            return answer(message) if answer else None
        if (message.sender, message.member, message.signature) == (BUS, OWNER_CHANGED, "sss"):
            name, _, owner = message.body
            if name == WATCHER and owner:
                self._registering.start(self._register())
        return None

    def _described(self, call: Message) -> Message:
        from dbus_fast import Message  # noqa: PLC0415

        described = DESCRIBED if call.path == ITEM_PATH else MENU_DESCRIBED
        return Message.new_method_return(call, "s", [f"<node>{described}</node>"])

    def _called(self, call: Message) -> Message | None:
        from dbus_fast import Message  # noqa: PLC0415

        if METHODS.get(str(call.member)) != call.signature:
            return None
        if call.member == "Activate":
            self._press(self._act)
        return Message.new_method_return(call)

    def _told(self, call: Message) -> Message | None:
        """Return the properties of the item, or of its menu. Raises DBusError."""
        from dbus_fast import ErrorType, Message  # noqa: PLC0415
        from dbus_fast.errors import DBusError  # noqa: PLC0415

        own, told = (ITEM, self._properties()) if call.path == ITEM_PATH else (MENU, self._menu.properties())
        match call.member, call.signature, call.body:
            case "GetAll", "s", [interface]:
                return Message.new_method_return(call, "a{sv}", [told if interface == own else {}])
            case "Get", "ss", [interface, name] if interface == own and name in told:
                return Message.new_method_return(call, "v", [told[name]])
            case "Get", "ss", _:
                raise DBusError(ErrorType.UNKNOWN_PROPERTY, "no such property")
        return None

    def _properties(self) -> dict[str, Variant]:
        from dbus_fast import Variant  # noqa: PLC0415

        words = {
            "Category": "Hardware",
            "Id": "cardd",
            "Title": self._title,
            "Status": "Active",
            "IconThemePath": str(self._icons),
            "IconName": self._icon,
            "OverlayIconName": "",
            "AttentionIconName": "",
            "AttentionMovieName": "",
        }
        told = {name: Variant("s", value) for name, value in words.items()}
        told |= {name: Variant(ICONS, []) for name in ("IconPixmap", "OverlayIconPixmap", "AttentionIconPixmap")}
        return told | {
            "WindowId": Variant("i", 0),
            "ToolTip": Variant(f"(s{ICONS}ss)", [self._icon, [], "cardd", escape(self._title, quote=False)]),
            "ItemIsMenu": Variant("b", False),
            "Menu": Variant("o", MENU_PATH),
        }
