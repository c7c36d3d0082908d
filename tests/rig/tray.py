"""A desktop's tray on a bus of the tests' own: the watcher to which items come, and what a panel asks of an item."""

from __future__ import annotations

from typing import Self

from dbus_fast import Message, MessageType, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

WATCHER, WATCHER_PATH = "org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher"
ITEM, ITEM_PATH = "org.kde.StatusNotifierItem", "/StatusNotifierItem"
MENU = "com.canonical.dbusmenu"
PROPERTIES = "org.freedesktop.DBus.Properties"

Entry = tuple[int, str, bool]  # its number, its label (empty for a line), and whether it can be pressed


class Tray:
    """The watcher; ``items`` are the names that registered, and ``told`` the signals of items and menus.

    Without ``is_watching`` it is a panel on a bus that has no watcher.
    """

    def __init__(self, address: str, *, is_watching: bool = True) -> None:
        self.items: list[str] = []
        self.told: list[str] = []
        self._address = address
        self._is_watching = is_watching

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(self._address).connect()
        self._bus.add_message_handler(self._answer)
        for interface in (ITEM, MENU):
            await self._bus.call(
                Message(
                    "org.freedesktop.DBus",
                    "/org/freedesktop/DBus",
                    "org.freedesktop.DBus",
                    "AddMatch",
                    signature="s",
                    body=[f"type='signal',interface='{interface}'"],
                )
            )
        if self._is_watching:
            assert await self._bus.request_name(WATCHER) is RequestNameReply.PRIMARY_OWNER
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bus.disconnect()

    async def properties(self) -> dict[str, object]:
        """What the last item that came says of itself."""
        [told] = (await self.call(ITEM_PATH, PROPERTIES, "GetAll", "s", ITEM)).body
        return {name: value.value for name, value in told.items()}

    async def icon(self) -> str:
        """The name of that item's icon."""
        return str((await self.properties())["IconName"])

    async def menu(self) -> list[Entry]:
        """The menu of that item."""
        where = str((await self.properties())["Menu"])
        _, root = (await self.call(where, MENU, "GetLayout", "iias", 0, -1, [])).body
        return [_entry(one.value) for one in root[2]]

    async def labels(self) -> list[str]:
        """What that menu says."""
        return [label for _, label, _ in await self.menu()]

    async def press(self, label: str) -> None:
        """The person presses the entry that begins so."""
        [number] = [number for number, told, is_enabled in await self.menu() if told.startswith(label) and is_enabled]
        await self.press_number(number)

    async def press_number(self, number: int) -> None:
        """Some program presses the entry of this number."""
        where = str((await self.properties())["Menu"])
        await self.call(where, MENU, "Event", "isvu", number, "clicked", Variant("i", 0), 0)

    async def activate(self) -> None:
        """The person presses the icon."""
        await self.call(ITEM_PATH, ITEM, "Activate", "ii", 0, 0)

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: object) -> Message:
        """Return what the last item that came answers, an error too."""
        name = self.items[-1]
        reply = await self._bus.call(Message(name, path, interface, member, signature=signature, body=list(body)))
        assert reply is not None
        return reply

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is MessageType.SIGNAL and message.interface in (ITEM, MENU):
            self.told.append(str(message.member))
        if message.message_type is not MessageType.METHOD_CALL or message.member != "RegisterStatusNotifierItem":
            return None
        self.items.append(message.body[0])
        return Message.new_method_return(message)


def _entry(item: list[object]) -> Entry:
    number, told, below = item
    assert isinstance(number, int)
    assert isinstance(told, dict)
    assert below == []
    values = {name: value.value for name, value in told.items()}
    return number, str(values.get("label", "")), bool(values.get("enabled", values.get("type") != "separator"))
