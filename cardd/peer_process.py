"""The process at the other end of a Unix socket, as the kernel tells it.

A number may become another process's once the first has ended; a descriptor (a pidfd) is of one process alone.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from asyncio.trsock import TransportSocket

SO_PEERPIDFD = 77  # asm-generic/socket.h, Linux 6.5; Python has no name for it
_CREDENTIALS, _DESCRIPTOR = struct.Struct("=iII"), struct.Struct("=i")


def credentials(connection: socket.socket | TransportSocket) -> tuple[int, int]:
    """Return the number and the user of the process that connected, or that listens, as they were at that moment.

    The number is 0 for a process outside our namespace, and where nothing is connected.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid


def process_of(connection: socket.socket | TransportSocket, pid: int) -> int:
    """Return a descriptor of the process that connected, of this number. Raises OSError where that has ended."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, _DESCRIPTOR.size)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        return os.pidfd_open(pid)  # before Linux 6.5: whoever has the number now
    found: int = _DESCRIPTOR.unpack(raw)[0]
    return found


def has_ended(process: int) -> bool:
    """Return whether the process of this descriptor runs no more."""
    state = select.poll()  # select() knows no descriptor from 1024 on
    state.register(process, select.POLLIN)
    return bool(state.poll(0))
