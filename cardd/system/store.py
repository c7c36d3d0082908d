"""Small documents on disk, replaced as a whole: after a crash there is the old one or the new one, never a half."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from cardd.errors import StateUnavailable
from cardd.files import open_file
from cardd.system.private import refuse, refuse_exposed, state_fault

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class FileStore:
    """``cardd.ports.Store``: ``NAME.json`` in one directory, mode 0600; the directory is made with mode 0700.

    Names are cardd's own words (lower case, digits, ``-`` and ``_``). All methods raise StateUnavailable, and of it
    StateExposed where others own or may reach the directory or the file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def place(self, name: str) -> str:
        """The file's path."""
        return str(self._path(name))

    def load(self, name: str) -> str | None:
        """The document; None when there is none yet."""
        path = self._path(name)
        try:
            refuse_exposed(self._directory)
            with open_file(path) as file:
                refuse(path, os.fstat(file.fileno()))
                return file.read().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise StateUnavailable(file=str(path), why="UTF-8") from error
        except OSError as error:
            raise state_fault(path, error) from error

    def save(self, name: str, text: str) -> None:
        """Replace the document; it is on disk when this returns."""
        path = self._path(name)
        temporary = path.with_suffix(".new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_exposed(self._directory)
            _write_synced(temporary, text.encode())
            temporary.replace(path)
            _sync_directory(self._directory)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise state_fault(path, error) from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"no name of a document: {name!r}")
        return self._directory / f"{name}.json"


def _write_synced(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
