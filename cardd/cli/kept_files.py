"""Files of other programs that we change and put back to the byte: read, written whole, and kept in a record."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

PATIENCE = 10.0  # seconds for another command of ours
FILE_MODE, FOLDER_MODE = 0o644, 0o755  # of what all may read


def content(file: Path) -> bytes | None:
    """Return what a file holds; None where there is none."""
    return file.read_bytes() if file.is_file() else None


def modified(file: Path) -> int | None:
    """Return when a file was changed last, in nanoseconds; None where there is none."""
    return file.stat().st_mtime_ns if file.is_file() else None


def digest(held: bytes) -> str:
    """Return the hash by which we know what we wrote."""
    return sha256(held).hexdigest()


def as_text(held: bytes | None) -> str | None:
    """Return a file's content as a record has it."""
    return None if held is None else b64encode(held).decode()


def from_text(text: str | None) -> bytes | None:
    """Return a file's content from a record. Raises ValueError."""
    return None if text is None else b64decode(text, validate=True)


def real(file: Path) -> Path:
    """Return where links lead to. Raises OSError, which names the file, where they lead in a circle."""
    try:
        return file.resolve()
    except RuntimeError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(file)) from None


def missing(folder: Path) -> Iterator[Path]:
    """Yield this folder and those around it that are not there, outermost first."""
    yield from reversed([path for path in (folder, *folder.parents) if not path.exists()])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other commands of ours from what is below the folder meanwhile. Raises OSError, also after ``PATIENCE``.

    The lock is on the folder itself, so that no file is left of it; for the whole machine on root's own folder, which
    nobody else can keep locked.
    """
    if folder == Path("/"):
        own = Path(pwd.getpwuid(os.geteuid()).pw_dir)
        folder = own if own.is_dir() else folder
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            if time.monotonic() > end:
                raise BlockingIOError(fault.errno, fault.strerror, str(folder)) from None
            time.sleep(0.02)
        except OSError:
            return  # NFS locks no folder
        else:
            return


def restore(file: Path, held: bytes | None, modified: int | None = None) -> None:
    """Have the file hold this, or be gone for None; what a write that was killed has left goes too."""
    file = real(file)
    if held is None:
        if file.is_file():
            file.unlink()
    elif held != content(file):
        write(file, held)
        if modified is not None:
            os.utime(file, ns=(modified, modified))
    if _part(file).is_symlink() or _part(file).exists():
        _part(file).unlink()


def write(file: Path, held: bytes, mode: int = FILE_MODE, folder_mode: int = FOLDER_MODE) -> None:
    """Write a file whole; a link stays one, and what it leads to is written. The modes are those of what is made.

    An owner and modes that are there stay. Raises OSError, which names the file.
    """
    file = real(file)
    made = list(missing(file.parent))
    try:
        for folder in made:
            folder.mkdir(mode=folder_mode)
            folder.chmod(folder_mode)
        _write_part(file, held, mode)
        _part(file).replace(file)
    except OSError as fault:
        with suppress(OSError):
            _part(file).unlink(missing_ok=True)
        drop(made)
        raise OSError(fault.errno, fault.strerror, str(file)) from fault


def drop(folders: Iterable[str | Path]) -> None:
    """Remove folders that were made, named outermost first; one in which somebody has put something stays."""
    for folder in reversed(list(folders)):
        with suppress(OSError):
            Path(folder).rmdir()


def _write_part(file: Path, held: bytes, mode: int) -> None:
    _part(file).unlink(missing_ok=True)  # a killed command's, or a link that somebody put there
    with os.fdopen(os.open(_part(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as part:
        part.write(held)
        part.flush()
        found = file.stat() if file.exists() else None
        if found is not None and os.geteuid() == 0:
            os.fchown(part.fileno(), found.st_uid, found.st_gid)
        os.fchmod(part.fileno(), found.st_mode & 0o7777 if found is not None else mode)
        os.fsync(part.fileno())


def _part(file: Path) -> Path:
    return file.with_name(f".{file.name}.cardd")
