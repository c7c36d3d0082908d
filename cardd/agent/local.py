"""A pinentry program started by this process, on this process's own terminal or display."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from cardd.agent.assuan import Assuan
from cardd.errors import PromptUnavailable

GRACE = 1.0
GRAPHICAL = ("pinentry-gnome3", "pinentry-qt", "pinentry-gtk-2", "pinentry-x11")
TEXTUAL = ("pinentry-curses", "pinentry-tty")
LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")


def find_pinentry(configured: str | None, environment: Mapping[str, str]) -> str | None:
    """The program to start: the configured one, else what suits a display, else what suits a terminal."""
    if configured:
        return configured
    graphical = ("DISPLAY" in environment or "WAYLAND_DISPLAY" in environment) and GRAPHICAL
    candidates = ("pinentry", *(graphical or ()), *(TEXTUAL if own_terminal() else ()))
    return next((found for name in candidates if (found := shutil.which(name))), None)


def own_terminal() -> str | None:
    """The terminal of this process's standard input; None when it has none."""
    with contextlib.suppress(OSError):
        return os.ttyname(0)
    return None


def own_locale(environment: Mapping[str, str]) -> str:
    """The locale of this process, as its environment says."""
    return next((environment[name] for name in LOCALES if environment.get(name)), "C.UTF-8")


def options(environment: Mapping[str, str]) -> dict[str, str]:
    """What a pinentry must be told of where it runs."""
    locale = own_locale(environment)
    told = {"lc-ctype": locale if "UTF-8" in locale.upper() else "C.UTF-8", "lc-messages": locale}
    terminal = own_terminal()
    if terminal:
        told |= {"ttyname": terminal, "ttytype": environment.get("TERM", "vt100")}
    return told


@asynccontextmanager
async def conversation(program: str) -> AsyncIterator[Assuan]:
    """Start the program and talk to it; it has ended when the ``with`` has. Raises PromptUnavailable."""
    ours, theirs = socket.socketpair()
    talk = Assuan(ours)
    try:
        process = await start(program, theirs)
        try:
            await talk.greeting()
            yield talk
        finally:
            talk.close()
            await stop(process)
    finally:
        talk.close()


async def start(program: str, connection: socket.socket) -> asyncio.subprocess.Process:
    """Start a pinentry that speaks over this socket, which is closed here. Raises PromptUnavailable."""
    try:
        return await asyncio.create_subprocess_exec(
            program, stdin=connection.fileno(), stdout=connection.fileno(), stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise PromptUnavailable(why=f"{Path(program).name}: {error.strerror}") from error
    finally:
        connection.close()


async def stop(process: asyncio.subprocess.Process) -> None:
    """End it: it ends by itself when its conversation does, else it is made to."""
    for end in (None, process.terminate, process.kill):
        if end is not None:
            with contextlib.suppress(ProcessLookupError):
                end()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE)
            return
