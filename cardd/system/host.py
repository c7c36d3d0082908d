"""The machine: its clock, and what the process gives up before it touches a card.

The process gives up core dumps, debuggers of the same user and new privileges. systemd's unit asks for most of this
too; ``harden`` serves ``cardd run`` and other service managers as well.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cardd.backoff import Throttle
from cardd.errors import InternalError

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PRIVATE = 0o077
DESCRIPTORS = 16384
RESERVED = 192  # more than are accepted at once

log = logging.getLogger(__name__)

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


def descriptors_for_callers() -> int:
    """Raise the limit of open files where the machine allows; return from which descriptor on callers have none.

    The rest is for what a signature needs while they take all that they can: cards, dialogs, documents, the audit log.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft - min(RESERVED, soft // 2)


def throttle_exhaustion(loop: asyncio.AbstractEventLoop) -> None:
    """Log once a minute that connections cannot be accepted; asyncio would write a traceback for each attempt."""
    throttle = Throttle(partial(log.error, "no file descriptor was left for a connection (%d attempts)"))

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if str(context.get("message")).startswith("socket.accept()"):
            throttle.note()
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


def end_within(seconds: float) -> None:
    """End the process by then, whatever hangs in it: a thread in a library, or what the interpreter waits for."""
    watchdog = threading.Timer(seconds, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:  # pragma: no cover - a kernel older than what cardd asks for
        raise InternalError(why=f"prctl {option}: {os.strerror(ctypes.get_errno())}")


class SystemClock:
    """The clock of this machine (``cardd.ports.Clock``)."""

    def now(self) -> datetime:
        """Return the time of day, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump; sleep of the machine counts too, so that a session grows old in it."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
