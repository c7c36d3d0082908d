"""What an agent sees for the daemon: which programs of its user hold a connection.

The daemon, as a service, may not look into the processes of other users; the agent of a desktop may look into its own
user's. It has a connection for that beside those for dialogs, where it says ``OK cardd-agent-witness LANGUAGE``. The
daemon sends ``HOLDERS`` and the sockets' inodes in a line, the agent answers with a line of JSON. An older agent has no
such connection, and an older daemon hangs up on it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Collection
from pathlib import Path

from cardd.errors import BrowserUnseen
from cardd.model import Executable, Holders

GREETING = "cardd-agent-witness"
COMMAND = b"HOLDERS"
TIMEOUT = 5.0
LINE_MAX = 256 * 1024
CHUNK = 16 * 1024

Look = Callable[[Collection[int]], Holders]


class Witness:
    """The daemon's end; one question at a time, which an agent may take ``timeout`` seconds to answer."""

    def __init__(self, connection: socket.socket, timeout: float = TIMEOUT) -> None:
        self._connection = connection
        self._timeout = timeout

    async def holders(self, sockets: Collection[int]) -> Holders:
        """Return the programs that hold each of these sockets. Raises BrowserUnseen: this witness is then done."""
        loop = asyncio.get_running_loop()
        question = b" ".join((COMMAND, *(b"%d" % inode for inode in sockets))) + b"\n"
        try:
            async with asyncio.timeout(self._timeout):
                await loop.sock_sendall(self._connection, question)
                return _understood(await self._line())
        except (OSError, TimeoutError, ValueError, TypeError, AttributeError, RecursionError):
            raise BrowserUnseen from None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    async def _line(self) -> bytes:
        """Return the answer. Raises ValueError for one that is too long, or none."""
        received = bytearray()
        while not received.endswith(b"\n"):
            await asyncio.sleep(0)  # the loop turns, however much is there to read
            piece = await asyncio.get_running_loop().sock_recv(self._connection, CHUNK)
            if not piece or len(received) > LINE_MAX:
                raise ValueError("answer")
            received += piece
        return bytes(received)


async def testify(path: Path, language: str, look: Look) -> None:
    """Answer the daemon's questions as the agent, until it leaves. Raises OSError."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(f"OK {GREETING} {language}\n".encode())
        while (words := (await reader.readline()).split())[:1] == [COMMAND]:
            sockets = [int(word) for word in words[1:] if word.isdigit()]
            writer.write(_told(await asyncio.to_thread(look, sockets)))
            await writer.drain()
    finally:
        writer.close()


def _told(found: Holders) -> bytes:
    programs = {
        inode: [[program.path, program.device, program.inode, program.is_replaced] for program in held]
        for inode, held in found.items()
    }
    return json.dumps(programs).encode() + b"\n"


def _understood(line: bytes) -> Holders:
    """Return what the agent tells; ``Witness.holders`` has the errors that something else raises here."""
    told = json.loads(line)
    return {int(inode): tuple(_program(*fields) for fields in held) for inode, held in told.items()}


def _program(path: object, device: object, inode: object, is_replaced: object) -> Executable:
    if not isinstance(path, str) or not isinstance(device, int) or not isinstance(inode, int):
        raise TypeError("program")
    return Executable(path, device, inode, is_replaced is True)
