"""Connections of programs on this machine, each carried to a configured server by a raw tunnel of the session.

Whoever reaches the listener acts with the card, so it answers to programs of the user who started it. A browser is one
of them, and a page can have it connect anywhere: what begins as browsers begin (HTTP, TLS, STUN) is not carried, for
else a page's request would have lines that a mail server obeys. Nothing is asked of anybody before that is known.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cardd.client import Session
from cardd.client.tunnel import Tunnel
from cardd.errors import CarddError
from cardd.system.peer import peer_of
from cardd.worker import until_one_ends

PIECE = 64 * 1024
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PRI")
OF_BROWSERS = re.compile(rb"(?:%b) |[\x00-\x03\x16]" % b"|".join(METHODS), re.IGNORECASE)
MOMENT = 0.2  # seconds for a program's first words; a browser says them at once, who says none waits to be greeted
CONNECTIONS_MAX = 32  # a session has fewer tunnels; the daemon's connections are for others too
REST = 30.0  # seconds of silence for which a server is listened to after the program has said all
GOODBYE = 1.0
TOLD_AGAIN = 10.0  # seconds

Tell = Callable[[CarddError], None]


class RawTunnel:
    """Listeners for one server and one session; ``on_failure`` is told why a connection could not go on."""

    scheme = "tcp"

    def __init__(self, session: Session, upstream: str, on_failure: Tell) -> None:
        self._session = session
        self._upstream = upstream
        self._on_failure = on_failure
        self._told: tuple[str, float] = "", 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, address: str, port: int) -> AsyncIterator[int]:
        """Serve inside the ``async with``. Gives the port. Raises OSError."""
        server = await asyncio.start_server(self._serve, address, port, limit=PIECE)
        async with self._serving(server):
            yield int(server.sockets[0].getsockname()[1])

    @asynccontextmanager
    async def listening_at(self, path: Path) -> AsyncIterator[None]:
        """Serve inside the ``async with``, at a socket that this user alone may use. Raises OSError."""
        _remove_left(path)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        except OSError as fault:
            listener.close()
            raise OSError(fault.errno, fault.strerror, str(path)) from None
        finally:
            os.umask(before)
        try:
            async with self._serving(await asyncio.start_unix_server(self._serve, sock=listener, limit=PIECE)):
                yield
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def carry_stdio(self) -> None:
        """Carry standard input and output, until either side leaves. Raises why that ended, and OSError."""
        reader, writer = await _stdio()
        try:
            async with self._session.tunnel(self._upstream) as tunnel:
                await _Carried(tunnel, reader, writer).run()
        finally:
            await _hang_up(writer)

    @asynccontextmanager
    async def _serving(self, server: asyncio.Server) -> AsyncIterator[None]:
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        if len(self._tasks) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            if peer is not None and peer.uid == os.getuid():
                await self._carry(reader, writer)
        except CarddError as error:
            self._tell(error)
        except OSError:
            pass  # the program has left
        except asyncio.CancelledError:
            pass  # the command ends; asyncio would log it
        finally:
            await _hang_up(writer)
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = asyncio.ensure_future(_first_words(reader))
        try:
            await asyncio.wait((first,), timeout=MOMENT)
            if first.done() and not first.result():
                return
            async with self._session.tunnel(self._upstream) as tunnel:
                await _Carried(tunnel, reader, writer, first).run()
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    def _tell(self, error: CarddError) -> None:
        """Tell why a connection ended; what many connections meet at once is told once."""
        code, until = self._told
        now = time.monotonic()
        if error.code != code or now > until:
            self._told = error.code, now + TOLD_AGAIN
            self._on_failure(error)


class _Carried:
    """One connection of a program's and its tunnel; ``first`` are the words with which the program begins."""

    def __init__(
        self,
        tunnel: Tunnel,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        first: Awaitable[bytes] | None = None,
    ) -> None:
        self._tunnel = tunnel
        self._reader = reader
        self._writer = writer
        self._first = first
        self._is_heard = asyncio.Event()

    async def run(self) -> None:
        """Return when either side has left, or the program began as none may."""
        await until_one_ends(self._down(), self._up())

    async def _down(self) -> None:
        while data := await self._tunnel.read():
            self._writer.write(data)
            await self._writer.drain()
            self._is_heard.set()

    async def _up(self) -> None:
        if self._first is not None:
            begun = await self._first
            if not begun:
                return
            await self._tunnel.write(begun)
        while data := await self._reader.read(PIECE):
            await self._tunnel.write(data)
        await self._tunnel.end()
        with suppress(TimeoutError):
            while True:
                self._is_heard.clear()
                async with asyncio.timeout(REST):
                    await self._is_heard.wait()


async def _first_words(reader: asyncio.StreamReader) -> bytes:
    """Return what a program says first; empty for a browser's words, and for one that said nothing and left."""
    said = b""
    while (not said or _may_become_a_browsers(said)) and (data := await reader.read(PIECE)):
        said += data
    return b"" if OF_BROWSERS.match(said) else said


def _may_become_a_browsers(said: bytes) -> bool:
    return any(method.startswith(said.upper()) for method in METHODS)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """End a connection; who does not take the rest in ``GOODBYE`` does not get it."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), GOODBYE)
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass


def _remove_left(path: Path) -> None:
    """Remove the socket of a command that was killed; any other file, and a socket where somebody listens, stays."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


async def _stdio() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the ends of standard input and output: pipes, a terminal, or one socket that is both."""
    if _is_one_socket(sys.stdin.fileno(), sys.stdout.fileno()):
        return await asyncio.open_connection(sock=socket.socket(fileno=os.dup(sys.stdin.fileno())), limit=PIECE)
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(PIECE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ours = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _protocol = await loop.connect_write_pipe(lambda: ours, sys.stdout)
    return reader, asyncio.StreamWriter(transport, ours, None, loop)


def _is_one_socket(here: int, there: int) -> bool:
    found = os.fstat(here)
    return stat.S_ISSOCK(found.st_mode) and os.path.samestat(found, os.fstat(there))
