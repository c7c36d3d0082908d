"""A clock that is wrong, for one program: Debian's libfaketime in front of the C library."""

from __future__ import annotations

from pathlib import Path


def wrong_clock(by: str) -> dict[str, str]:
    """The environment of a program whose clock is off by so much ("-5m"), or begins at "@2001-01-01 00:00:00"."""
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
