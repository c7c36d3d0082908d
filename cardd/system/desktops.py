"""Which desktop a process belongs to, and whether it is the installed agent: what the system tells of other users' too.

A process's session is told by its cgroup: logind puts each session into a scope of its own, which only root can put a
process into. What the user's own service manager runs is in no session's scope and counts to the user's main desktop.

The installed agent is a script of root's, so that the file that runs is the interpreter, which every script shares, and
which the service of another user may not see. Its command line is what can be looked at. A program of the same user can
forge it, or run the installed agent with libraries of its own: the look keeps out what does not take that trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from itertools import pairwise
from pathlib import Path

from cardd.files import stays_roots
from cardd.system.logind import Desktops
from cardd.system.peer import PROC, program_of

AGENT = "cardd-agent"
PINENTRY = b"--pinentry"
TOLD_WITHIN = 3.0  # seconds for which an agent waits, just after the start, until the desktops are known
# /proc/PID/cgroup: version 2, or the hierarchy of systemd beside version 1
_SCOPE = re.compile(
    r"^(?:0:|\d+:name=systemd):/user\.slice/user-(\d+)\.slice/session-([^/]+)\.scope(?:/|$)", re.MULTILINE
)
_INTERPRETER = re.compile(r"python[\d.]*")
_HARMLESS = re.compile(rb"-[IEsPBu]+")  # options of Python's that name no other code


class KnownDesktops:
    """The desktops as logind told them last; ``is_any_agent`` takes every program of the user for the agent.

    ``proc`` is where the system tells of processes.
    """

    def __init__(self, *, is_any_agent: bool, proc: Path = PROC) -> None:
        self._proc = proc
        self._is_any_agent = is_any_agent
        self._known = Desktops()
        self._told = asyncio.Event()

    def changed(self, desktops: Desktops | None) -> None:
        """Take note of the desktops; None where nobody tells: each user has one then."""
        self._known = desktops or Desktops()
        self._told.set()

    async def settle(self) -> None:
        """Wait until they are known, for a moment at most."""
        if not self._told.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TOLD_WITHIN):
                    await self._told.wait()

    def desktop_of(self, uid: int, pid: int) -> str:
        """Return the graphical session that the process is in, else the user's main one; empty where there is none."""
        session = session_of(self._proc / str(pid), uid)
        if session is not None and self._known.sessions.get(session) == uid:
            return session
        return self._known.main.get(uid, "")

    def is_shown(self, desktop: str) -> bool:
        """Return whether this desktop is on a screen here, and not locked."""
        return desktop in self._known.shown

    def is_installed_agent(self, uid: int, pid: int) -> bool:
        """Return whether the process is an agent of root's making; the daemon's own user may bring any."""
        return self._is_any_agent or uid == os.geteuid() or runs_installed(AGENT, pid)


def session_of(process: Path, uid: int) -> str | None:
    """Return the logind session of this user's whose scope holds the process in /proc; None for what is in none."""
    try:
        told = (process / "cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _SCOPE.search(told)
    return found[2] if found and int(found[1]) == uid else None


def runs_installed(name: str, pid: int) -> bool:
    """Return whether the command line is that of the script ``name``, and script, interpreter and pinentry are root's.

    Where processes of others are hidden (``hidepid``) nothing can be told, and nobody is kept out.
    """
    try:
        program, *given = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return True
    named = [os.fsdecode(program)]
    if _INTERPRETER.fullmatch(Path(named[0]).name):
        while given and _HARMLESS.fullmatch(given[0]):
            del given[0]
        if not given:
            return False
        named.insert(0, os.fsdecode(given.pop(0)))
    running = program_of(pid)
    every = [*named, *([running] if running else []), *_pinentries(given)]
    return Path(named[0]).name == name and all(stays_roots(Path(path)) for path in every)


def _pinentries(given: list[bytes]) -> list[str]:
    """Return the pinentries that the arguments name; argparse takes an option's beginning for the option."""
    found = []
    for option, following in pairwise([*given, b""]):
        word, is_joined, value = option.partition(b"=")
        if len(word) > 2 and PINENTRY.startswith(word):
            found.append(os.fsdecode(value if is_joined else following))
    return found
