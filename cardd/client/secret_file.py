"""A client secret between two runs of its program: in a file that nobody but the program's own user can read.

Whoever has the secret is this program, for cardd. So it stands in no argument, no environment variable, no log and no
file that others may open.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cardd.errors import SecretExposed, SecretUnavailable
from cardd.files import open_regular

NAME = "cardd-secret"
OTHERS = 0o077
READ = os.O_RDONLY | os.O_NOFOLLOW
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
SECRET_MAX = 1024
PAUSE = 0.1  # seconds between two looks whether another process has done with it


class SecretFile:
    """The file of one program: ``~/.config/SOFTWARE_ID/cardd-secret``, or another ``path``.

    All methods raise SecretUnavailable, and of it SecretExposed where another user owns or may open the file.
    """

    def __init__(self, software_id: str, path: Path | None = None) -> None:
        home = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        home = home if home.is_absolute() else Path.home() / ".config"  # the standard's rule, too
        self.path = path or home / software_id.replace("/", "_").replace(":", "_") / NAME

    def load(self) -> str | None:
        """Return the secret, None when there is none yet."""
        try:
            with open(open_regular(self.path, READ), encoding="ascii") as file:  # noqa: PTH123 - a descriptor
                self._refuse_exposed(os.fstat(file.fileno()))
                return file.read(SECRET_MAX).strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as fault:
            raise self._unavailable(fault) from fault

    def save(self, secret: str) -> None:
        """Keep this secret instead of an earlier one; it is on disk when this returns."""
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self._make_folder()
            with suppress(FileNotFoundError):
                new.unlink()
            with open(os.open(new, WRITE, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123 - its mode at once
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError as fault:
            raise self._unavailable(fault) from fault

    def forget(self) -> None:
        """Remove the secret, after the program was unpaired."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as fault:
            raise self._unavailable(fault) from fault

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until no other process of this program pairs, and keep the others waiting inside the ``async with``."""
        try:
            self._make_folder()
            descriptor = open_regular(self.path.with_name(f"{self.path.name}.lock"), LOCK)
        except OSError as fault:
            raise self._unavailable(fault) from fault
        try:
            while not _locked(descriptor):  # noqa: ASYNC110 - the kernel tells no loop when a lock is given back
                await asyncio.sleep(PAUSE)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _refuse_exposed(self, found: os.stat_result) -> None:
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid != os.geteuid() or mode & OTHERS:
            raise SecretExposed(file=str(self.path), owner=found.st_uid, mode=f"{mode:04o}")

    def _unavailable(self, fault: Exception) -> SecretUnavailable:
        return SecretUnavailable(file=str(self.path), why=getattr(fault, "strerror", None) or str(fault))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
