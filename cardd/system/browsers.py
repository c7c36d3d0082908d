"""Browsers: which programs hold a connection over which a page is said to speak, and whether each is a browser.

Any program can send an ``Origin``. A page's connection is held by a browser and by nothing else, and a browser is
a file that was installed for all users of this machine: it is root's, nobody else may change it or replace it, and its
path is one of those that are known or configured. The files are compared by device and inode, and not by name: a
sandbox (Snap, Flatpak, or one that a program makes for itself) shows its files under any path it likes.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from cardd.errors import BrowserUnseen
from cardd.files import ROOT, is_roots
from cardd.model import Executable, Holders, Peer
from cardd.system.peer import PROC, open_files, processes

ANY = "any"
KNOWN = "known"
FLATPAK = "/var/lib/flatpak/app"  # ID/architecture/branch/commit/files; what one user installs is that user's
# where the packages of the browsers' makers and of Debian, Fedora, Snap and Flathub put the program itself
INSTALLED = (
    "/usr/lib/firefox-esr/firefox-esr",
    "/usr/lib/firefox/firefox",
    "/usr/lib64/firefox/firefox",
    "/opt/firefox/firefox",
    "/snap/firefox/*/usr/lib/firefox/firefox",
    f"{FLATPAK}/org.mozilla.firefox/*/*/*/files/lib/firefox/firefox",
    "/usr/lib/chromium/chromium",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/snap/chromium/*/usr/lib/chromium-browser/chrome",
    f"{FLATPAK}/org.chromium.Chromium/*/*/*/files/chromium/chrome",
    "/opt/google/chrome/chrome",
    f"{FLATPAK}/com.google.Chrome/*/*/*/files/extra/chrome",
    "/opt/microsoft/msedge/msedge",
    f"{FLATPAK}/com.microsoft.Edge/*/*/*/files/extra/msedge",
    "/opt/brave.com/brave/brave",
    f"{FLATPAK}/com.brave.Browser/*/*/*/files/brave/brave",
    "/snap/brave/*/opt/brave.com/brave/brave",
    "/opt/vivaldi/vivaldi-bin",
)

REPLACED = " (deleted)"  # how the kernel marks the path of a file that is gone
Strangers = Mapping[int, str | None]  # by the inode of a socket: a program that holds it and is no browser


def holders(sockets: Collection[int]) -> Holders:
    """Return the programs of all processes that have these sockets open, as far as this process may see them.

    ``sockets`` are inodes. Every process is looked at once, however many are asked for: some 10 ms on a desktop.
    """
    names = {f"socket:[{inode}]": inode for inode in sockets}
    found: dict[int, dict[Executable, None]] = {inode: {} for inode in sockets}
    for process in processes():
        held = {names[name] for name in open_files(process) if name in names}
        if held:
            program = executable(process)
            for inode in held:
                found[inode][program] = None
    return {inode: tuple(programs) for inode, programs in found.items()}


def executable(process: int) -> Executable:
    """Return the file that a process runs; an empty one where that may not be seen."""
    link = PROC / str(process) / "exe"
    try:
        file, path = link.stat(), str(link.readlink())
    except OSError:
        return Executable()
    # only where this process sees the same files: elsewhere anybody may have put a file at any path
    is_replaced = not file.st_nlink and is_roots(file) and _namespace(process) == _namespace(os.getpid())
    return Executable(path, file.st_dev, file.st_ino, is_replaced)


def _namespace(process: int) -> object:
    """Return what tells one mount namespace from another."""
    try:
        return (PROC / str(process) / "ns" / "mnt").stat().st_ino
    except OSError:  # pragma: no cover - it ended between two looks
        return object()  # equal to none


def installed(patterns: Iterable[str]) -> dict[tuple[int, int], str]:
    """Return the files at these paths that only root can change or replace, by device and inode."""
    found = {}
    for pattern in patterns:
        for name in Path("/").glob(pattern.lstrip("/")):
            try:
                path = name.resolve(strict=True)
                file = path.stat()
                if stat.S_ISREG(file.st_mode) and all(is_roots(each.stat()) for each in (path, *path.parents)):
                    found[file.st_dev, file.st_ino] = str(path)
            except OSError:
                continue
    return found


def is_installed(program: Executable, files: Mapping[tuple[int, int], str]) -> bool:
    """Return whether a program is one of these files, or the one before it: an update leaves a browser running."""
    is_older = program.is_replaced and program.path.removesuffix(REPLACED) in files.values()
    return is_older or (program.device, program.inode) in files


def wanted(configured: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns of paths that ``[web] browsers`` stands for."""
    return tuple(path for entry in configured for path in (INSTALLED if entry == KNOWN else (entry,)))


class BrowserWatch:
    """``cardd.ports.Browsers``: this process looks where it may, else the agent of the user's desktop does.

    ``configured`` is ``[web] browsers``; ``elsewhere`` asks that user's agent, and raises BrowserUnseen.
    """

    def __init__(
        self, configured: Sequence[str], elsewhere: Callable[[int, Collection[int]], Awaitable[Holders]]
    ) -> None:
        self._takes_any = ANY in configured
        self._patterns = wanted(configured)
        self._elsewhere = elsewhere
        self._looks: dict[int, _Looks] = {}

    async def stranger(self, peer: Peer) -> str | None:
        """Return the path of a program behind this connection that is no browser; None where all are browsers.

        The path is empty where no program may be seen. Raises BrowserUnseen.
        """
        if self._takes_any:
            return None
        if peer.socket is None:
            raise BrowserUnseen
        looks = self._looks.setdefault(peer.uid, _Looks(partial(self._look, peer.uid)))
        return await looks.stranger(peer.socket)

    async def _look(self, uid: int, sockets: Collection[int]) -> Strangers:
        is_ours = os.geteuid() in (ROOT, uid)
        found = await (asyncio.to_thread(holders, sockets) if is_ours else self._elsewhere(uid, sockets))
        return await asyncio.to_thread(self._judged, sockets, found)

    def _judged(self, sockets: Collection[int], found: Holders) -> Strangers:
        files = installed(self._patterns)
        return {inode: self._first_stranger(found.get(inode, ()), files) for inode in sockets}

    @staticmethod
    def _first_stranger(programs: Sequence[Executable], files: Mapping[tuple[int, int], str]) -> str | None:
        strangers = (program.path for program in programs or (Executable(),) if not is_installed(program, files))
        return next(strangers, None)


class _Looks:
    """The looks at one user's processes: one at a time, and whoever asks while one is under way shares the next."""

    def __init__(self, look: Callable[[Collection[int]], Awaitable[Strangers]]) -> None:
        self._look = look
        self._turn = asyncio.Lock()
        self._asked: set[int] = set()
        self._next: asyncio.Task[Strangers] | None = None

    async def stranger(self, inode: int) -> str | None:
        self._asked.add(inode)
        if self._next is None:
            self._next = asyncio.ensure_future(self._take())
            self._next.add_done_callback(lambda done: done.cancelled() or done.exception())  # all may have hung up
        found = await asyncio.shield(self._next)
        return found[inode]

    async def _take(self) -> Strangers:
        async with self._turn:
            self._next, asked, self._asked = None, self._asked, set()
            return await self._look(asked)
