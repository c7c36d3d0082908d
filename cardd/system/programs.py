"""Which file the program at the other end of a Unix connection runs, and whether that file stays what it is.

A daemon of its own user may not look into other users' processes: the agent of the user's desktop does, which is told
the socket by its inode. A path is believed where root's own file stands there (``browsers.installed``). What only root
can change is lasting, but for what runs scripts: a program's name says nothing of the script then.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Collection
from glob import escape
from pathlib import Path

from cardd.errors import BrowserUnseen
from cardd.model import Executable, Holders, Peer
from cardd.ports import ProgramFile
from cardd.system.browsers import INSTALLED, REPLACED, executable, holders, installed, is_installed

# what runs whatever it is given, by the file's name; its version, or which build it is, may follow
INTERPRETER = re.compile(
    r"(?:python|pypy|perl|ruby|irb|php|lua|luajit|node|nodejs|deno|bun|electron|java|mono|dotnet|pwsh|tclsh|wish|expect"
    r"|guile|gjs|seed|bash|dash|r?sh|zsh|r?ksh|mksh|t?csh|fish|busybox|toybox|(?:[gm]|original-)?awk|gdb|emacs|julia|R"
    r"|octave|sbcl|erl|escript|beam|racket|wine|qemu|ld)(?:[\d.-].*)?"
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
            return await asyncio.to_thread(_ours, peer, peer.pid) if peer.pid is not None else UNSEEN
        if peer.socket is None:
            return UNSEEN
        try:
            found = (await self._elsewhere(peer.uid, (peer.socket,))).get(peer.socket, ())
        except BrowserUnseen:
            return UNSEEN
        return await asyncio.to_thread(_known, found[0]) if len(found) == 1 else UNSEEN


def _ours(peer: Peer, process: int) -> ProgramFile:
    """Return the file of a process that may be seen, which ran it as it came, and has the connection for itself."""
    program = executable(process)
    held = holders([peer.socket])[peer.socket] if peer.socket is not None else (program,)
    if held != (program,) or peer.file not in (None, (program.device, program.inode)):
        return UNSEEN
    found = _known(program)
    if peer.program is None or found.path == peer.program:
        return found
    # somebody's own file has the name that it came with
    return ProgramFile(peer.program, is_lasting=False) if program.path == peer.program else UNSEEN


def _known(program: Executable) -> ProgramFile:
    """Return the file where it is root's, by device and inode: in a namespace of its own a process has any path.

    Browsers of Snap and Flatpak are known by where they are outside.
    """
    try:
        files = installed((escape(program.path), *INSTALLED) if program.path.startswith("/") else INSTALLED)
    except (OSError, ValueError, RecursionError):  # no path that any file has
        return UNSEEN
    path = files.get((program.device, program.inode))
    if path is None and is_installed(program, files):  # an update has put another one there
        path = program.path.removesuffix(REPLACED)
    if path is None:
        return UNSEEN
    return ProgramFile(path, is_lasting=INTERPRETER.fullmatch(Path(path).name) is None)
