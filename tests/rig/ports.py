"""TCP ports of loopback that nothing uses.

They are taken from below the range out of which the kernel gives outgoing connections theirs: a port of that range,
free when it was looked at, may be some connection's own when a server comes to bind it.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()  # by this process, perhaps for a server that has still to bind


def free_port(count: int = 1) -> int:
    """The first of ``count`` adjacent free TCP ports; none is given twice."""
    highest = int(_EPHEMERAL.read_text().split()[0]) - count
    while True:
        first = random.randint(LOWEST, highest)
        ports = range(first, first + count)
        if _given.isdisjoint(ports) and all(map(_is_free, ports)):
            _given.update(ports)
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
