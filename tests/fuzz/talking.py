"""The other end of a conversation with cardd, in this process: what it says is an input, what it hears is nobody's."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from typing import Any

TURNS = 40  # of the loop, for what is said to be answered
ENDINGS: list[Callable[[], Awaitable[None]]] = []  # of what was started for many inputs


class Failed(AssertionError):
    """Something inside failed that no caller is told of."""


class Errors(logging.Handler):
    """What is logged as an error: a fault that somebody caught, and that should not have been."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.told.append(record)


@cache
def runner() -> asyncio.Runner:
    """A loop for all inputs."""
    made = asyncio.Runner()
    made.get_loop().set_exception_handler(lambda _, about: _unhandled.append(about))
    return made


_unhandled: list[dict[str, Any]] = []


def end() -> None:
    """End what was started, and the loop."""

    async def all_of_it() -> None:
        while ENDINGS:
            await ENDINGS.pop()()

    runner().run(all_of_it())
    runner().close()
    runner.cache_clear()


@contextmanager
def nothing_fails() -> Iterator[None]:
    """Raise what nobody handled, or somebody logged as an error."""
    errors, everything = Errors(), logging.getLogger()
    everything.addHandler(errors)
    disabled, logging.root.manager.disable = logging.root.manager.disable, logging.WARNING
    _unhandled.clear()
    try:
        yield
    finally:
        everything.removeHandler(errors)
        logging.root.manager.disable = disabled
    for about in _unhandled:
        raise about.get("exception") or Failed(about["message"])
    for record in errors.told:
        raise (record.exc_info and record.exc_info[1]) or Failed(record.getMessage())


def on_loop(read: Callable[[bytes], Awaitable[object]]) -> Callable[[bytes], object]:
    """Return a parser of what a coroutine parses."""

    def run(data: bytes) -> object:
        async def one() -> object:
            return await read(data)

        with nothing_fails():
            return runner().run(one())

    return run


async def turns(count: int = TURNS) -> None:
    """Let the loop do all that it can do at once."""
    for _ in range(count):
        await asyncio.sleep(0)


async def said(path: str, data: bytes) -> bytes:
    """Connect to a Unix socket, say the data, and return what is answered at once."""
    return await _said(socket.AF_UNIX, path, data)


async def said_over(port: int, data: bytes) -> bytes:
    """Do the same at a port of this machine."""
    return await _said(socket.AF_INET, ("127.0.0.1", port), data)


async def _said(family: socket.AddressFamily, where: str | tuple[str, int], data: bytes) -> bytes:
    with closing(socket.socket(family)) as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, where)
        heard = bytearray()
        for place in range(0, len(data), 4096):
            try:
                connection.send(data[place : place + 4096])
            except OSError:  # it has hung up, or does not read on
                break
            await turns()
        await turns()
        try:
            while part := connection.recv(65536):
                heard += part
                await turns(4)
        except OSError:
            pass
    await turns()
    return bytes(heard)


def answering(data: bytes, ask: Callable[[socket.socket], object]) -> object:
    """Return what ``ask`` makes of a connection whose other end has said the data and left; its questions are lost."""
    with ExitStack() as ends:
        ours, theirs = (ends.enter_context(end) for end in socket.socketpair())
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return ask(ours)
