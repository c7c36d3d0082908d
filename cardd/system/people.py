"""The machine's accounts, as the system has them (``cardd.ports.People``)."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

ACCOUNTS = Path("/etc/passwd")
FIRST, LAST = 1000, 60000  # the uids of people: UID_MIN and UID_MAX of login.defs(5) on Debian
MISSED = 60.0  # seconds for which a name that nobody had is not asked for again
NO_SHELLS = ("nologin", "false")


class Accounts:
    """The accounts of this machine; names also of those that a directory service has."""

    def __init__(self, local: Path = ACCOUNTS) -> None:
        self._local = local
        self._names: dict[int, str] = {}
        self._uids: dict[str, int] = {}
        self._missed: dict[str, float] = {}

    def name(self, uid: int) -> str | None:
        """Return the user's name, asked for once."""
        if uid not in self._names:
            try:
                self._names[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                return None
        return self._names[uid]

    def uid(self, name: str) -> int | None:
        """Return the user of this name, asked for once, and once a minute while there is none."""
        now = monotonic()
        if name not in self._uids and now >= self._missed.get(name, now):
            try:
                self._uids[name] = pwd.getpwnam(name).pw_uid
            except KeyError:
                self._missed[name] = now + MISSED
        return self._uids.get(name)

    def only_one(self) -> int | None:
        """Return the only person with an account of this machine's own who can log in."""
        people = set(self._people())
        return people.pop() if len(people) == 1 else None

    def _people(self) -> Iterator[int]:
        try:
            lines = self._local.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        for fields in (line.split(":") for line in lines):
            if len(fields) == 7 and fields[2].isdecimal() and not fields[6].endswith(NO_SHELLS):
                uid = int(fields[2])
                if FIRST <= uid <= LAST:
                    yield uid
