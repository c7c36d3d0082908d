"""The menu of an item as libdbusmenu reads it, which panels of GNOME, Xfce and MATE are made with.

Run by the system's Python, which has GObject introspection: ``menu.py ITEM LABEL`` prints the labels, one a line,
those that cannot be pressed behind a ``-``, and presses the one with this label.
"""

import sys

import gi

gi.require_version("Dbusmenu", "0.4")
from gi.repository import Dbusmenu, GLib  # noqa: E402

LIMIT = 10  # seconds
PRESSED = 100  # milliseconds in which a press goes out

loop = GLib.MainLoop()
client = Dbusmenu.Client.new(sys.argv[1], "/StatusNotifierItem/Menu")


def read(*_: object) -> None:
    """Print the menu, and press what was asked for."""
    root = client.get_root()
    if root is None or not root.get_children():
        return
    for item in root.get_children():
        label = item.property_get("label")
        if label is None and item.property_get("type") == "separator":
            print("-")
        else:
            print(label if item.property_get_bool("enabled") else f"-{label}")
        if label == sys.argv[2]:
            item.handle_event("clicked", GLib.Variant("i", 0), 0)
    client.disconnect(reading)
    GLib.timeout_add(PRESSED, loop.quit)


reading = client.connect("layout-updated", read)
GLib.timeout_add_seconds(LIMIT, lambda: sys.exit("no menu came"))
loop.run()
