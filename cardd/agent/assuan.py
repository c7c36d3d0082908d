"""One Assuan conversation over a connected socket, as the client: how a pinentry is spoken to.

The pinentry is one of our own (a socket pair), or stands at the other end of an agent's connection. What is received
goes into a locked page, a ``D`` line from there into the caller's secret, and never into ``bytes`` or ``str``.

Source: the Assuan manual, "Client requests" and "Server responses"; libgpg-error for the codes.
"""

from __future__ import annotations

import asyncio
import socket

from cardd.errors import PromptUnavailable
from cardd.secret import CAPACITY, Secret

LINE_MAX = 1000
ANSWER_LINES_MAX = 64  # of one answer, and so its bytes; a pinentry says two or three
HEX = {ord(digit): value for value, digit in enumerate("0123456789ABCDEF")} | {
    ord(digit): value for value, digit in enumerate("abcdef", 10)
}
PERCENT, DATA = ord("%"), ord("D")
WORDS_MAX = 80

CODE_MASK = 0xFFFF  # the rest of an error number names its source
TIMEOUT, CANCELED, NOT_CONFIRMED, FULLY_CANCELED = 62, 99, 114, 198


class Refusal(Exception):
    """``ERR``: the other side's code, without its source."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Assuan:
    """The conversation. Raises PromptUnavailable when the other side leaves or does not speak Assuan."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._page = Secret()
        self._size = 0

    async def greeting(self) -> str:
        """Wait for the other side's ``OK``; gives what stands behind it."""
        size = await self._line()
        with self._page.room() as page:
            told = bytes(page[:size])
            self._drop(page, size)
        if not told.startswith(b"OK"):
            raise PromptUnavailable(why="Assuan")
        return told[2:].decode("utf-8", "replace").strip()

    async def command(self, name: str, argument: str = "", into: Secret | None = None) -> None:
        """Send one command and wait for its ``OK``; data goes into ``into``. Raises Refusal for ``ERR``."""
        await self._send(name, argument)
        if into is not None:
            into.wipe()
        for _ in range(ANSWER_LINES_MAX):
            if await self._answer(into):
                return
        raise PromptUnavailable(why="Assuan")

    def close(self) -> None:
        """End the conversation; whatever was received is wiped."""
        self._connection.close()
        self._page.wipe()

    async def _send(self, name: str, argument: str) -> None:
        line = f"{name} {_escaped(argument)}" if argument else name
        try:
            await asyncio.get_running_loop().sock_sendall(self._connection, _cut(line.encode()) + b"\n")
        except OSError as error:
            raise PromptUnavailable(why="pinentry") from error

    async def _answer(self, into: Secret | None) -> bool:
        """Take one line; True when it ends the command."""
        size = await self._line()
        with self._page.room() as page:
            try:
                if size >= 2 and page[0] == DATA:
                    if into is not None:
                        _append(page[2:size], into)
                    return False
                return _ends(bytes(page[: min(size, WORDS_MAX)]))
            finally:
                self._drop(page, size)

    async def _line(self) -> int:
        """The length of the first line in the page, received as far as needed."""
        await asyncio.sleep(0)  # whoever always has more to say would never let the loop turn, and no limit fire
        while True:
            with self._page.room() as page:
                end = _find_newline(page, self._size)
                if end is not None:
                    return end
                if self._size > LINE_MAX or self._size == CAPACITY:
                    raise PromptUnavailable(why="Assuan")
                await self._receive(page)

    async def _receive(self, page: memoryview) -> None:
        loop = asyncio.get_running_loop()
        try:
            received = await loop.sock_recv_into(self._connection, page[self._size :])
        except OSError as error:
            raise PromptUnavailable(why="pinentry") from error
        if not received:
            raise PromptUnavailable(why="pinentry")
        self._size += received

    def _drop(self, page: memoryview, size: int) -> None:
        """Remove the first line and its end, and overwrite what it leaves behind."""
        left = self._size - size - 1
        page[:left] = page[size + 1 : self._size]
        page[left : self._size] = bytes(self._size - left)
        self._size = left


async def readable(source: socket.socket | int) -> None:
    """Wait until there is something to read or to accept, and leave it there."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(source, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(source)


def _find_newline(page: memoryview, size: int) -> int | None:
    return next((place for place in range(size) if page[place] == 0x0A), None)


def _ends(line: bytes) -> bool:
    word = line.split(b" ", 1)[0]
    if word == b"OK":
        return True
    if word == b"ERR":
        code = line.split(b" ")[1] if b" " in line else b"0"
        raise Refusal(int(code) & CODE_MASK if code.isdigit() else 0)
    if word == b"S" or line.startswith(b"#"):
        return False
    raise PromptUnavailable(why="Assuan")


def _append(data: memoryview, into: Secret) -> None:
    """Append the percent-decoded data to the secret, byte by byte, without a copy anywhere else."""
    size, place = len(into), 0
    with into.room() as room:
        while place < len(data) and size < CAPACITY:
            escape = data[place : place + 3]
            if len(escape) == 3 and escape[0] == PERCENT and escape[1] in HEX and escape[2] in HEX:
                room[size] = HEX[escape[1]] << 4 | HEX[escape[2]]
                place += 3
            else:
                room[size] = data[place]
                place += 1
            size += 1
    into.keep(0, size)


def _escaped(argument: str) -> str:
    return argument.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _cut(line: bytes) -> bytes:
    """An Assuan line has at most 1000 bytes; neither a character nor an escape is cut in two."""
    if len(line) < LINE_MAX:
        return line
    kept = line[: LINE_MAX - 1].decode("utf-8", "ignore")
    escape = kept.rfind("%", len(kept) - 2)
    return kept[:escape].encode() if escape >= 0 else kept.encode()
