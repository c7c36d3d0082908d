"""Which file the program at the other end of a Unix connection runs, and whether that file stays what it is.

A daemon of its own user may not look into other users' processes: the agent of the user's desktop does, which is told
the socket by its inode. What only root can change is lasting, but for what runs scripts: a program's name says nothing
of the script then.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from cardd.errors import BrowserUnseen
from cardd.files import stays_roots
from cardd.model import Executable, Holders, Peer
from cardd.ports import ProgramFile
from cardd.system.browsers import executable, installed, is_installed

# what runs whatever it is given, by the file's name without its version
INTERPRETER = re.compile(
    r"(?:python|perl|ruby|php|lua|luajit|node|nodejs|deno|bun|java|mono|dotnet|tclsh|wish|guile|gjs|bash|dash|sh|zsh"
    r"|ksh|fish|busybox|[gm]?awk|gdb|wine|qemu-.*|ld-.*)[\d.-]*"
)
UNSEEN = ProgramFile("", is_lasting=False)
ROOT = 0


class ProgramWatch:
    """``cardd.ports.ProgramFiles``. ``elsewhere`` asks a user's agent, and raises BrowserUnseen."""

    def __init__(self, elsewhere: Callable[[int, Collection[int]], Awaitable[Holders]]) -> None:
        self._elsewhere = elsewhere

    async def of(self, peer: Peer) -> ProgramFile:
        """Return the file that the peer runs; where several programs hold the connection, nobody can tell."""
        if os.geteuid() in (ROOT, peer.uid):
            if peer.pid is None or not peer.program:
                return UNSEEN
            return await asyncio.to_thread(_judged, executable(peer.pid), peer.program)
        if peer.socket is None:
            return UNSEEN
        try:
            holders = (await self._elsewhere(peer.uid, (peer.socket,))).get(peer.socket, ())
        except BrowserUnseen:
            return UNSEEN
        if len(holders) != 1 or not holders[0].path:
            return UNSEEN
        return await asyncio.to_thread(_judged, holders[0], holders[0].path)


def _judged(program: Executable, path: str) -> ProgramFile:
    is_what_it_is_called = is_installed(program, installed((path,)))
    runs_scripts = INTERPRETER.fullmatch(Path(path).name) is not None
    return ProgramFile(path, is_what_it_is_called and stays_roots(Path(path)) and not runs_scripts)
