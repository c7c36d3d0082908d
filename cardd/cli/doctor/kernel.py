"""What the kernel says of the clock and of locked memory."""

from __future__ import annotations

import ctypes
import re
import resource
from pathlib import Path

STA_UNSYNC = 0x0040

_LOCKED = re.compile(r"^Max locked memory\s+(\S+)", re.MULTILINE)


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``; the rest is room for what the kernel writes. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def is_synchronised() -> bool | None:
    """Whether some time service keeps the clock right; None when the kernel does not say."""
    timex = _Timex()  # modes 0: only read
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return None
    return not timex.status & STA_UNSYNC


def lockable_memory(pid: int | None) -> int | None:
    """How many bytes the process (None: this one) may lock; None for no limit."""
    if pid is None:
        soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        return None if soft == resource.RLIM_INFINITY else soft
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    match = _LOCKED.search(limits)
    return int(match[1]) if match and match[1].isdecimal() else None
