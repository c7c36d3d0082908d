"""A connection of the agent over which the daemon tells, in lines of JSON, and the agent answers with lines of words.

The agent connects, and says ``OK NAME LANGUAGE``. An older agent has no such connection, and an older daemon hangs up
on it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

LINE_MAX = 32 * 1024  # what the daemon tells
SAID_MAX = 4096  # what an agent says at once

Say = Callable[[str], None]


class Line:
    """The daemon's end, for one desktop; ``heard`` gets the lines that came at once, ``left`` is called at the end."""

    def __init__(
        self,
        connection: socket.socket,
        heard: Callable[[list[str]], None],
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._heard = heard
        self._left = left
        asyncio.get_running_loop().add_reader(connection, self._hear)

    def tell(self, told: Mapping[str, object]) -> bool:
        """Send it; return whether the agent listens. Nobody waits for one that does not."""
        line = json.dumps(told).encode() + b"\n"
        try:
            is_sent = self._connection.send(line) == len(line)
        except OSError:
            is_sent = False
        if not is_sent:  # half a line is no line
            self.close()
        return is_sent

    def close(self) -> None:
        """Hang up."""
        if self._connection.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._connection)
            self._connection.close()
            self._left()

    def _hear(self) -> None:
        try:
            said = self._connection.recv(SAID_MAX)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said.endswith(b"\n"):  # it has left, or says what no agent says
            self.close()
        else:
            self._heard(said.decode(errors="replace").splitlines())


async def listen(
    path: Path, name: str, language: str, heard: Callable[[Mapping[str, object], Say], Awaitable[None]]
) -> None:
    """Give ``heard`` what the daemon tells, as the agent, until it leaves. Raises OSError, ValueError."""
    reader, writer = await asyncio.open_unix_connection(path, limit=LINE_MAX)

    def say(word: str) -> None:
        writer.write(word.encode() + b"\n")

    try:
        say(f"OK {name} {language}")
        while line := await reader.readline():
            await heard(read(line), say)
    finally:
        writer.close()


def read(line: bytes) -> Mapping[str, object]:
    """Return what a line of the daemon's tells. Raises ValueError, RecursionError."""
    told = json.loads(line)
    if not isinstance(told, dict):
        raise ValueError("line")  # noqa: TRY004 - what ends the connection
    return told
