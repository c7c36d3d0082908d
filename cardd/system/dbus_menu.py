"""A menu on the session's bus, which the desktop draws: com.canonical.dbusmenu, version 3, of one level.

Source: the interface's own description, in libdbusmenu (``dbus-menu.xml``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message, Variant

MENU = "com.canonical.dbusmenu"
ROOT = 0
LISTED_MAX = 256  # items that a program may ask for at once
NODE = "(ia{sv}av)"
# what each method takes and gives
METHODS = {
    "GetLayout": ("iias", f"u{NODE}"),
    "GetGroupProperties": ("aias", "a(ia{sv})"),
    "GetProperty": ("is", "v"),
    "Event": ("isvu", ""),
    "EventGroup": ("a(isvu)", "ai"),
    "AboutToShow": ("i", "b"),
    "AboutToShowGroup": ("ai", "aiai"),
}
DESCRIBED = """<interface name="com.canonical.dbusmenu">
<property name="Version" type="u" access="read"/><property name="TextDirection" type="s" access="read"/>
<property name="Status" type="s" access="read"/><property name="IconThemePath" type="as" access="read"/>
<method name="GetLayout"><arg type="i" direction="in"/><arg type="i" direction="in"/><arg type="as" direction="in"/>
<arg type="u" direction="out"/><arg type="(ia{sv}av)" direction="out"/></method>
<method name="GetGroupProperties"><arg type="ai" direction="in"/><arg type="as" direction="in"/>
<arg type="a(ia{sv})" direction="out"/></method>
<method name="GetProperty"><arg type="i" direction="in"/><arg type="s" direction="in"/>
<arg type="v" direction="out"/></method>
<method name="Event"><arg type="i" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="in"/>
<arg type="u" direction="in"/></method>
<method name="EventGroup"><arg type="a(isvu)" direction="in"/><arg type="ai" direction="out"/></method>
<method name="AboutToShow"><arg type="i" direction="in"/><arg type="b" direction="out"/></method>
<method name="AboutToShowGroup"><arg type="ai" direction="in"/><arg type="ai" direction="out"/>
<arg type="ai" direction="out"/></method>
<signal name="ItemsPropertiesUpdated"><arg type="a(ia{sv})"/><arg type="a(ias)"/></signal>
<signal name="LayoutUpdated"><arg type="u"/><arg type="i"/></signal>
<signal name="ItemActivationRequested"><arg type="i"/><arg type="u"/></signal>
</interface>"""


class DBusMenu:
    """The entries, and the answers about them. A number stands for one entry for ever: a late press means no other."""

    def __init__(self, chosen: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._numbers = count(ROOT + 1)
        self._entries: dict[int, tuple[str, str]] = {}
        self._known: dict[tuple[str, str, int], int] = {}
        self.revision = 0

    def change(self, entries: Sequence[tuple[str, str]]) -> bool:
        """Show these, each an act and a label; return whether that is a change. No act: told only. No label: a line."""
        if list(entries) == list(self._entries.values()):
            return False
        seen: Counter[tuple[str, str]] = Counter()
        known, self._known, self._entries = self._known, {}, {}
        for act, label in entries:
            key = (act, label, seen[act, label])
            seen[act, label] += 1
            number = self._known[key] = known.get(key) or next(self._numbers)
            self._entries[number] = (act, label)
        self.revision += 1
        return True

    def properties(self) -> dict[str, Variant]:
        """Return the menu's own properties."""
        from dbus_fast import Variant  # noqa: PLC0415 - once there is a tray

        told = {"Version": ("u", 3), "TextDirection": ("s", "ltr"), "Status": ("s", "normal")}
        return {name: Variant(*value) for name, value in told.items()} | {"IconThemePath": Variant("as", [])}

    def answer(self, call: Message) -> Message:
        """Return the answer to a call of the menu's interface. Raises DBusError."""
        from dbus_fast import ErrorType, Message  # noqa: PLC0415
        from dbus_fast.errors import DBusError  # noqa: PLC0415

        takes, gives = METHODS.get(str(call.member), (None, ""))
        if call.signature != takes:
            raise DBusError(ErrorType.UNKNOWN_METHOD, "no such method")
        return Message.new_method_return(call, gives, self._answered(str(call.member), call.body))

    def _answered(self, member: str, given: list[Any]) -> list[Any]:
        from dbus_fast import Variant  # noqa: PLC0415

        answer: list[Any] = []
        match member:
            case "GetLayout":
                parent, depth, wanted = given
                below = [Variant(NODE, self._node(number, wanted)) for number in self._entries]
                answer = [self.revision, [*self._node(parent, wanted)[:2], below if depth and parent == ROOT else []]]
            case "GetGroupProperties":
                numbers = [number for number in given[0] or self._entries if self._has(number)]
                answer = [[self._node(number, given[1])[:2] for number in numbers[:LISTED_MAX]]]
            case "GetProperty":
                answer = [self._node(given[0], [given[1]])[1].get(given[1], Variant("s", ""))]
            case "Event":
                self._happened(given[0], given[1])
            case "EventGroup":
                for number, kind, _, _ in given[0][:LISTED_MAX]:
                    self._happened(number, kind)
                answer = [[number for number, *_ in given[0] if not self._has(number)]]
            case "AboutToShow":
                answer = [False]
            case "AboutToShowGroup":
                answer = [[], [number for number in given[0] if not self._has(number)]]
        return answer

    def _has(self, number: int) -> bool:
        return number == ROOT or number in self._entries

    def _happened(self, number: int, kind: str) -> None:
        act, _ = self._entries.get(number, ("", ""))
        if kind == "clicked" and act:
            self._chosen(act)

    def _node(self, number: int, wanted: Sequence[str]) -> list[Any]:
        """Return one item with its properties, those that are ``wanted``, or all. Raises DBusError."""
        from dbus_fast import ErrorType, Variant  # noqa: PLC0415
        from dbus_fast.errors import DBusError  # noqa: PLC0415

        if not self._has(number):
            raise DBusError(ErrorType.INVALID_ARGS, "no such item")
        told: dict[str, Variant] = {}
        act, label = self._entries.get(number, ("", ""))
        if number == ROOT:
            told["children-display"] = Variant("s", "submenu")
        elif not label:
            told["type"] = Variant("s", "separator")
        else:
            told["label"] = Variant("s", label.replace("_", "__"))  # one alone marks a key
            told["enabled"] = Variant("b", bool(act))
        return [number, {name: value for name, value in told.items() if not wanted or name in wanted}, []]
