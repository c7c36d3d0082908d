"""The readers that an agent lends: those of a remote desktop, which only its own session reaches.

The agent has a connection of its own for this, where it says ``OK cardd-agent-readers LANGUAGE``. Over it the daemon
sends descriptors: each is one end of a socket, through which it asks for PC/SC calls (``cardd.pcsc.lending``). The
agent says nothing of its own accord. An older agent has no such connection, and an older daemon hangs up on it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from cardd.agent.assuan import readable

GREETING = "cardd-agent-readers"

Lend = Callable[[socket.socket], None]


async def offer(path: Path, language: str, lend: Lend) -> None:
    """Lend over each socket that the daemon sends, as the agent, until it leaves. Raises OSError."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, str(path))
        await loop.sock_sendall(connection, f"OK {GREETING} {language}\n".encode())
        while True:
            await readable(connection)
            told, descriptors, _, _ = socket.recv_fds(connection, 1, 1, socket.MSG_CMSG_CLOEXEC)
            if not told:
                return
            for descriptor in descriptors:
                lend(socket.socket(fileno=descriptor))
