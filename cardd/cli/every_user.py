"""What each user of this machine had put into other programs, taken out by root before cardd is removed.

Each user's files are changed by a process of that user: root believes and writes nothing in somebody's folders, and
listens to nothing that comes from there.
"""

from __future__ import annotations

import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cardd.values import Value

HOMES = Path("/home")
LIMIT = 20.0  # seconds for each user: a home may hang


class Undone(Value):
    """Whether one user's files are as they were."""

    user: str
    done: bool


def undo_of_every_user(*command: str, has_any: Callable[[Path], bool]) -> Iterator[Undone]:
    """Run a command of cardctl's as each user whose home has something to undo, and yield what came of it."""
    seen = {0}
    for user in _users():
        if user.pw_uid not in seen and _is_concerned(Path(user.pw_dir), has_any):
            yield Undone(user.pw_name, _undo(user, command))
        seen.add(user.pw_uid)


def _users() -> Iterator[pwd.struct_passwd]:
    """Yield the users that the system lists, and those of its homes: a directory service may list nobody."""
    yield from pwd.getpwall()
    for home in sorted(HOMES.glob("*")):
        with suppress(OSError, KeyError):
            yield pwd.getpwuid(home.stat().st_uid)


def _is_concerned(home: Path, has_any: Callable[[Path], bool]) -> bool:
    try:
        return has_any(home)
    except OSError:  # a home that is kept from root
        return False


def _undo(user: pwd.struct_passwd, command: tuple[str, ...]) -> bool:
    """Run the command as the user; return whether it did well."""
    try:
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-m", "cardd.cli.cardctl", *command],
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"HOME": user.pw_dir, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the user's process has no way to root's terminal
            timeout=LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0
