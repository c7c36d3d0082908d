"""Tells systemd how the daemon is doing (sd_notify): datagrams to NOTIFY_SOCKET, a path or an abstract name.

Without systemd there is no such variable and nothing happens; a service manager that does not listen is no reason to
stop serving, so nothing here raises.
"""

from __future__ import annotations

import os
import socket
import time

VARIABLE = "NOTIFY_SOCKET"


def ready(status: str = "") -> bool:
    """The daemon serves. Tells whether systemd was told."""
    return _send("READY=1", *_status(status))


def status(text: str) -> bool:
    """One line for ``systemctl status``."""
    return _send(*_status(text))


def reloading() -> bool:
    """The configuration is being read again; ``ready`` ends this."""
    return _send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str = "") -> bool:
    """The daemon is going down."""
    return _send("STOPPING=1", *_status(status))


def _status(text: str) -> list[str]:
    line = " ".join(text.split())  # a line break would begin another assignment
    return [f"STATUS={line}"] if line else []


def _send(*assignments: str) -> bool:
    address = os.environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto("\n".join(assignments).encode(), address)
    except OSError:
        return False
    return True
