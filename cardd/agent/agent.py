"""The agent: in each desktop session, shows the dialogs that the daemon asks for.

The agent connects to the agents' socket, says its language and waits. The first byte from the daemon starts a pinentry,
and a further connection that waits for the next dialog; bytes are passed both ways until either side ends. The PIN
crosses this process in one locked page.

Over connections of their own it tells the daemon which programs of its user hold a connection to the API, shows
notifications and an item in the tray, where the desktop has them, and lends the readers of a remote desktop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Container
from functools import partial
from pathlib import Path
from typing import Protocol

from cardd.agent import notices, pinentry, readers, tray, witness
from cardd.agent.assuan import readable
from cardd.agent.server import GREETING, NOT_INSTALLED, TAKEN
from cardd.backoff import BackOff
from cardd.errors import CarddError, PromptUnavailable
from cardd.i18n import language_of, locale_of
from cardd.model import Question
from cardd.secret import Secret
from cardd.values import Value
from cardd.worker import until_one_ends

DIALOGS, DESKTOP = "dialogs", "desktop"
PARTS = (DIALOGS, DESKTOP)
SOCKET = "/run/cardd/agent.sock"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two attempts to reach a daemon that is not there, or refuses

STAYED = 2.0  # a daemon that hangs up later than that, in seconds, did want this connection


class _Refused(Exception):
    """We are not this desktop's agent; ``topic`` is what its person is told of it."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class Shower(notices.Shower, tray.Desktop, Protocol):
    """The desktop's notifications, and its browser."""


class Desktop(Value):
    """What shows things on a desktop that has a bus: notifications and the browser, and the tray."""

    shower: Shower
    tray: tray.Item


class Agent:
    """One desktop's agent. ``program`` is the pinentry to start, None for what is found.

    ``look`` returns the programs of this user that hold a socket; ``desktop`` shows what is no dialog. ``lend`` serves
    the readers of this session, None where it has none of its own. ``parts`` is what it does of these: the dialogs and
    the readers, which have the PIN and can be kept in a sandbox, and what looks at the desktop.
    """

    def __init__(
        self,
        path: Path,
        program: str | None,
        look: witness.Look,
        desktop: Desktop | None = None,
        *,
        lend: readers.Lend | None = None,
        parts: Container[str] = PARTS,
    ) -> None:
        self._path = path
        self._program = program
        self._look = look
        self._desktop = desktop
        self._lend = lend
        self._parts = parts

    async def run(self) -> None:
        """Serve until cancelled."""
        language = language_of(locale_of(os.environ))
        async with asyncio.TaskGroup() as serving:
            if DESKTOP in self._parts:
                serving.create_task(_stay(partial(witness.testify, self._path, language, self._look)))
                if desktop := self._desktop:
                    serving.create_task(_stay(partial(notices.announce, self._path, language, desktop.shower)))
                    attending = partial(tray.attend, self._path, language, desktop.tray, desktop.shower)
                    serving.create_task(_stay(attending))
            if DIALOGS in self._parts:
                serving.create_task(self._show_dialogs())
                if self._lend:
                    serving.create_task(_stay(partial(readers.offer, self._path, language, self._lend)))

    async def _show_dialogs(self) -> None:
        """Serve dialog after dialog."""
        loop = asyncio.get_running_loop()
        back_off = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
        has_warned = False
        async with asyncio.TaskGroup() as dialogs:
            while True:
                began = loop.time()
                try:
                    connection = await self._asked()
                    back_off.reset()
                except (OSError, CarddError, _Refused) as fault:
                    if isinstance(fault, _Refused) and not has_warned:
                        has_warned = True
                        dialogs.create_task(self._warn(fault.topic))
                    # a daemon that stayed has restarted; one that sends us away is left in peace longer and longer
                    if loop.time() - began > LONGEST_PAUSE:
                        back_off.reset()
                    await asyncio.sleep(back_off.pause())
                    continue
                # we wait for the next question before this one is answered: it may come at once
                dialogs.create_task(self._show(connection))

    async def _asked(self) -> socket.socket:
        """Connect and wait to be asked; gives the connection over which we are.

        Raises PromptUnavailable, OSError; _Refused.
        """
        loop = asyncio.get_running_loop()
        language = language_of(locale_of(os.environ))
        with contextlib.ExitStack() as failed:
            connection = failed.enter_context(socket.socket(socket.AF_UNIX))
            connection.setblocking(False)
            await loop.sock_connect(connection, str(self._path))
            await loop.sock_sendall(connection, f"OK {GREETING} {language}\n".encode())
            await _first_byte(connection)
            failed.pop_all()
        return connection

    async def _warn(self, topic: str) -> None:
        """Tell the person, by our own pinentry, that we show no dialogs here, and why."""
        program, language = pinentry.find_pinentry(self._program, os.environ), language_of(locale_of(os.environ))
        with contextlib.suppress(OSError, CarddError):
            if program is not None:
                async with pinentry.conversation(program) as talk:
                    await pinentry.set_options(talk, pinentry.options(os.environ))
                    await pinentry.notify(talk, Question(topic, os.getuid(), {"program": sys.argv[0]}), language)

    async def _show(self, connection: socket.socket) -> None:
        """Pass one dialog on; what goes wrong ends the connection, and that tells the daemon."""
        program = pinentry.find_pinentry(self._program, os.environ)
        with connection, contextlib.suppress(OSError, CarddError):
            if program is not None:
                async with pinentry.running(program) as started:
                    await _introduce(started)
                    await _splice(connection, started)


async def _stay(serve: Callable[[], Awaitable[None]]) -> None:
    """Serve over a connection as long as there is a daemon at its other end, and again when there is."""
    loop, back_off = asyncio.get_running_loop(), BackOff(FIRST_PAUSE, LONGEST_PAUSE)
    while True:
        began = loop.time()
        with contextlib.suppress(OSError, ValueError, RecursionError):  # the last by JSON that is too deep
            await serve()
        if loop.time() - began > STAYED:
            back_off.reset()
        await asyncio.sleep(back_off.pause())


async def _first_byte(connection: socket.socket) -> None:
    """Wait for the daemon's first word, without taking it. Raises PromptUnavailable when it leaves, _Refused."""
    await readable(connection)
    begun = connection.recv(len(TAKEN), socket.MSG_PEEK)
    if not begun:
        raise PromptUnavailable(why="cardd")
    if begun in (TAKEN, NOT_INSTALLED):
        raise _Refused("agent_taken" if begun == TAKEN else "agent_not_installed")


async def _introduce(started: socket.socket) -> None:
    """Take pinentry's greeting, and tell it where this desktop is: the daemon cannot know."""
    loop = asyncio.get_running_loop()
    commands = [f"OPTION {name}={value}\n" for name, value in pinentry.options(os.environ).items()]
    await _skip_lines(started, 1)
    for command in commands:
        await loop.sock_sendall(started, command.encode())
        await _skip_lines(started, 1)


async def _skip_lines(pinentry: socket.socket, count: int) -> None:
    loop = asyncio.get_running_loop()
    while count:
        await asyncio.sleep(0)  # the loop turns, however much is there to read
        byte = await loop.sock_recv(pinentry, 1)
        if not byte:
            raise PromptUnavailable(why="pinentry")
        count -= byte == b"\n"


async def _splice(daemon: socket.socket, pinentry: socket.socket) -> None:
    """Pass bytes both ways until one side ends."""
    with contextlib.suppress(OSError):
        await until_one_ends(_pass(daemon, pinentry), _pass(pinentry, daemon))


async def _pass(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with Secret() as page, page.room() as room:
        while size := await loop.sock_recv_into(source, room):
            await loop.sock_sendall(target, room[:size])
            room[:size] = bytes(size)
            await asyncio.sleep(0)  # the other way, and SIGTERM, have their turn


async def serve(agent: Agent) -> None:
    """Run an agent until SIGTERM or SIGINT."""
    serving = asyncio.ensure_future(agent.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
