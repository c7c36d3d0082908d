"""Opening a file of which the whole is wanted, and whose files are: what nobody but root can change.

A pipe, a socket or a device in a file's place is refused, not waited for: whoever opens a named pipe waits until
somebody writes to it, for ever if nobody does, and reads a device without end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

NO_FILE = errno.ENXIO  # what the kernel says of a socket, too
ROOT = 0
OTHERS_WRITE = 0o022
MOST_LINKS = 40  # as the kernel follows
SMALL, LISTS = 1024 * 1024, 16 * 1024 * 1024  # bytes, for who expects a page of settings or many certificates


def ensure_regular(path: Path) -> None:
    """Check a path before somebody else opens it. Raises OSError: ``NO_FILE`` for what is no file."""
    _check(path, path.stat())


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file and return its descriptor; one that is made is this user's alone. Raises OSError, as above."""
    try:
        ensure_regular(path)  # opening a device may already do something
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        _check(path, os.fstat(descriptor))
    except BaseException:  # pragma: no cover - it was exchanged between the two looks
        os.close(descriptor)
        raise
    return descriptor


def open_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes. Raises OSError, as above."""
    return os.fdopen(open_regular(path), "rb")


def read_file(path: Path, most: int | None = None) -> bytes:
    """Return a file's content. Raises OSError, as above, and EFBIG for one of more than ``most`` bytes."""
    with open_file(path) as file:
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def new_file(path: Path) -> int:
    """Make a file of this user's alone and return its descriptor. Raises OSError.

    Behind sudo it is whose command it was, in a folder where they could have made it themselves.
    """
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _made(folder, path.name)
        finally:
            os.close(folder)
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror, str(path)) from None


def _made(folder: int, name: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    user, group = (os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID"))
    if os.geteuid() == ROOT and user.isdecimal() and group.isdecimal():
        found = os.fstat(folder)
        if found.st_uid == int(user) or found.st_mode & stat.S_IWOTH:
            with suppress(OSError):  # a USB stick's files are all of one user
                os.fchown(descriptor, int(user), int(group))
    return descriptor


def is_waited_for(found: os.stat_result) -> bool:
    """Return whether opening what was found may wait for ever, or reading it never end."""
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)


def is_roots(found: os.stat_result) -> bool:
    """Return whether only root can change what was found."""
    return found.st_uid == ROOT and not found.st_mode & OTHERS_WRITE


def stays_roots(path: Path) -> bool:
    """Return whether only root can change what stands at this path."""
    try:
        return leads_as_root_says(path) and is_roots(path.stat())
    except OSError:  # pragma: no cover - it was taken away between the two looks
        return False


def leads_as_root_says(path: Path) -> bool:
    """Return whether only root can change where a path and the links on its way lead; what stands there may be others'.

    In a folder that is everybody's, as /tmp, only what is root's stays in its place.
    """
    if not path.is_absolute():
        return False
    try:
        *way, end = _way(path)
    except OSError:
        return False
    is_everybodys = any(_is_open(found) for found in way)
    if any(found.st_uid != ROOT or (_is_open(found) and not found.st_mode & stat.S_ISVTX) for found in way):
        return False
    return end.st_uid == ROOT or not is_everybodys


def _way(path: Path) -> Iterator[os.stat_result]:
    """Yield what is passed on the way to a path: folders and links from the root on, and last what stands there."""
    at, left, links = Path("/"), [*reversed(path.parts[1:])], 0
    yield at.stat()
    while left:
        step = at / left.pop()
        found = step.lstat()
        yield found
        if not stat.S_ISLNK(found.st_mode):
            at = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = step.readlink()
        at = Path("/") if target.is_absolute() else at
        left += [part for part in reversed(target.parts) if part != "/"]


def _is_open(found: os.stat_result) -> bool:
    """Return whether others can change it; a link has no rights of its own."""
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & OTHERS_WRITE)


def _check(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(NO_FILE, os.strerror(NO_FILE), str(path))
