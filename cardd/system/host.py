"""The machine: its clock, and what the process gives up before it touches a card.

The process gives up core dumps, debuggers of the same user and new privileges. systemd's unit asks for most of this
too; ``harden`` serves ``cardd run`` and other service managers as well.
"""

from __future__ import annotations

import ctypes
import os
import resource
import threading
import time
from datetime import UTC, datetime

from cardd.errors import InternalError

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PRIVATE = 0o077

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def harden() -> None:
    """Give up what a PIN must not be exposed to; call it once, first thing. Raises InternalError when refused.

    Not dumpable means: no core, and no other process of this user may attach or read this one's memory (ptrace,
    /proc/PID/mem). Children (pinentry) keep what exec gives them, but can gain no privileges either.
    """
    os.umask(PRIVATE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def end_within(seconds: float) -> None:
    """End the process by then, whatever hangs in it: a thread in a library, or what the interpreter waits for."""
    watchdog = threading.Timer(seconds, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise InternalError(why=f"prctl {option}: {os.strerror(ctypes.get_errno())}")


class SystemClock:
    """The clock of this machine (``cardd.ports.Clock``)."""

    def now(self) -> datetime:
        """Return the time of day, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump; sleep of the machine counts too, so that a session grows old in it."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
