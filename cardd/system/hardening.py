"""What the process gives up before it touches a card: core dumps, debuggers of the same user, new privileges.

systemd's unit asks for most of this too; here it holds as well for ``cardd run`` and for other service managers.
"""

from __future__ import annotations

import ctypes
import os
import resource

from cardd.errors import InternalError

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PRIVATE = 0o077

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def harden() -> None:
    """Call once, first thing. Raises InternalError when the system refuses: the PIN would be less safe than promised.

    Not dumpable means: no core, and no other process of this user may attach or read this one's memory (ptrace,
    /proc/PID/mem). Children (pinentry) keep what exec gives them, but can gain no privileges either.
    """
    os.umask(PRIVATE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise InternalError(why=f"prctl {option}: {os.strerror(ctypes.get_errno())}")
