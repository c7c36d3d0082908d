"""What is the daemon's alone: a directory or file that another user owns or may reach is refused, not mended.

Whoever could write there could have planted a pairing; whoever could read a file has what is to be kept.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from cardd.errors import AuditUnavailable, StateExposed, StateInUse, StateNotAFile, StateUnavailable
from cardd.files import NO_FILE, OTHERS_WRITE, ROOT, is_waited_for, open_regular

ANYTHING = 0o077  # what others may not do with a file


def refuse_exposed(path: Path) -> None:
    """Check a path, where something is there.

    Raises StateExposed, StateNotAFile; StateUnavailable where this process may not look.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise state_fault(path, error) from error
    refuse(path, found)


def refuse_exposed_directory(directory: Path) -> None:
    """Check a directory and what is directly in it. Raises StateExposed, StateNotAFile, StateUnavailable."""
    refuse_exposed(directory)
    try:
        inside = list(directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise state_fault(directory, error) from error
    for path in inside:
        refuse_exposed(path)


def keep_others_out(directory: Path) -> int | None:
    """Keep every other daemon from this directory until the descriptor that is returned is closed.

    Where no directory is and none can be made there is nothing to keep: None. Raises StateInUse.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateInUse(file=str(directory)) from None
    except OSError:  # pragma: no cover - a file system without locks
        pass
    return descriptor


def open_private(path: Path) -> int:
    """Open a file to read and write, or make it for this user alone; return its descriptor. Raises OSError."""
    return open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)


def state_fault(path: Path, error: OSError) -> StateUnavailable:
    """Return what is told of a file of the state that could not be opened, read or written."""
    if error.errno == NO_FILE:
        return StateNotAFile(file=str(path))
    return StateUnavailable(file=str(path), why=error.strerror or str(error))


def audit_fault(error: OSError) -> AuditUnavailable | StateNotAFile:
    """Return what is told of a file of the audit log that could not be opened, read or written."""
    if error.errno == NO_FILE:
        return StateNotAFile(file=str(error.filename))
    return AuditUnavailable(why=error.strerror or str(error))


def refuse(path: Path, found: os.stat_result) -> None:
    """Refuse what was found at this path when it is not this user's alone, or root's, or would be waited for.

    Raises StateExposed, StateNotAFile.
    """
    if is_waited_for(found):
        raise StateNotAFile(file=str(path))
    mode = stat.S_IMODE(found.st_mode)
    loose = mode & (OTHERS_WRITE if stat.S_ISDIR(found.st_mode) else ANYTHING)
    # a file system's lost+found is root's, and root may do all of this anyway
    if found.st_uid not in (ROOT, os.geteuid()) or loose:
        raise StateExposed(file=str(path), owner=found.st_uid, mode=f"{mode:04o}", user=os.geteuid())
