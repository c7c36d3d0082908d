"""How cardd gets into the files of other programs, and out of them again.

Each place is a file: one of our own, or one of somebody else's that has our part in it. What a file held is kept, so
that it is put back to the byte; one that somebody else changed meanwhile loses our part and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from cardd.cli import flatpak_overrides
from cardd.cli.kept_files import (
    alone,
    as_text,
    content,
    digest,
    drop,
    from_text,
    missing,
    modified,
    real,
    restore,
    write,
)
from cardd.errors import RegistrationUnreadable
from cardd.values import Value, asdict

T = TypeVar("T")


class Form(StrEnum):
    """How our part stands in a file: it is the file, a block at its end, or a path that a Flatpak may use."""

    FILE = "file"
    BLOCK = "block"
    FILESYSTEM = "filesystem"


class Place(Value):
    """A file by which some programs find the module; ``part`` is what of it is ours."""

    program: str
    package: str
    file: Path
    part: str
    form: Form = Form.FILE

    def state(self) -> str:
        """Return ``registered``, ``absent``, ``other`` for a file of that name that is not ours, or ``unreadable``."""
        try:
            now = content(self.file)
        except OSError:  # root's, as after "sudo firefox"
            return "unreadable"
        if now is None:
            return "other" if self.file.exists() else "absent"  # a folder or a pipe
        if self.form is Form.FILE:
            return "registered" if now == self.part.encode() else "other"
        return "registered" if _without(now, self.part, self.form) != now else "absent"


class _Before(Value):
    """What a file held (base64; None where there was none), the hash of what our part made of it.

    ``modified`` is when it had been changed last, in nanoseconds.
    """

    before: str | None
    after: str
    part: str
    form: str
    modified: int | None = None


class _Record(Value):
    """What we wrote, by file, and the folders that were made for it, outermost first."""

    files: dict[str, _Before]
    folders: list[str]


class Registration:
    """What was put into places, by a record; two commands at once below ``base`` take turns.

    Raises RegistrationUnreadable, and OSError where nothing at all can be done.
    """

    def __init__(self, record: Path, base: Path) -> None:
        self._file = record
        self._base = base

    def put(self, places: Iterable[Place]) -> list[OSError]:
        """Put our part into each place, unless it is there; return what kept us from some.

        A file of our name that is somebody else's stays.
        """
        with alone(self._base):
            return _each(self._put, places)

    def take_out(self) -> list[OSError]:
        """Put back what was there in all files of the record; return what kept us from some.

        Our part is cut out of those changed since.
        """
        with alone(self._base):
            faults = _each(self._undo, list(self._record().files))
            if content(self._file) is None:
                restore(self._file, None)  # half a record, of a command that was killed at its first step
            return faults

    def _put(self, place: Place) -> None:
        if place.state() == "registered":
            return
        self._undo(str(place.file))  # ours of another socket or module
        if place.state() == "other":
            return
        record, before = self._record(), content(place.file)
        held = _with(before or b"", place.part, place.form)
        kept = _Before(as_text(before), digest(held), place.part, place.form, modified(place.file))
        record.files[str(place.file)] = kept
        for file in (self._file, place.file):
            record.folders.extend(
                str(folder) for folder in missing(real(file).parent) if str(folder) not in record.folders
            )
        self._keep(record)  # before the file: what is half done can be undone
        _write(place.file, held)

    def _undo(self, name: str) -> None:
        record = self._record()
        if name not in record.files:
            return
        file, kept = Path(name), record.files.pop(name)
        left = _put_back(content(file), kept)
        restore(file, left, kept.modified if as_text(left) == kept.before else None)
        self._keep(record)

    def _record(self) -> _Record:
        held = content(self._file)
        try:
            document = json.loads(held) if held is not None else {"folders": [], "files": {}}
            folders, files = document["folders"], document["files"].items()
            if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
                raise RegistrationUnreadable(file=str(self._file))
            for name in (*folders, *(name for name, _ in files)):
                _check_path(name)
            return _Record({name: _recorded(one) for name, one in files}, folders)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise RegistrationUnreadable(file=str(self._file)) from None

    def _keep(self, record: _Record) -> None:
        """Write the record; without files it goes, and so do the folders that nobody else has put something into."""
        if record.files:
            _write(self._file, json.dumps({"format": 1, **asdict(record)}, indent=2).encode() + b"\n")
        else:
            restore(self._file, None)
            drop(sorted(record.folders))


def _each(work: Callable[[T], None], things: Iterable[T]) -> list[OSError]:
    """Do the work with each; return what kept us from some: one folder that is read-only keeps nothing else back."""
    faults = []
    for thing in things:
        try:
            work(thing)
        except OSError as fault:
            faults.append(fault)
    return faults


def _check_path(name: str) -> None:
    """Raises ValueError for what no file can be called."""
    if b"\0" in os.fsencode(name):
        raise ValueError(name)


def _recorded(one: dict[str, Any]) -> _Before:
    """Return what was kept of a file. Raises TypeError, ValueError for what we never wrote."""
    kept = _Before(**one)
    texts = (kept.before or "", kept.after, kept.part)
    if not all(isinstance(text, str) for text in texts) or not isinstance(kept.modified or 0, int):
        raise TypeError("text")
    kept.part.encode()
    from_text(kept.before)
    Form(kept.form)
    return kept


def _with(before: bytes, part: str, form: str) -> bytes:
    """Return what a file holds with our part in it."""
    if form == Form.FILESYSTEM:
        return flatpak_overrides.with_filesystem(before, part)
    if form == Form.FILE or not before.strip():
        return part.encode()
    # NSS's file is blocks that end with an empty line
    return before + b"\n" * max(0, 2 - (len(before) - len(before.rstrip(b"\n")))) + part.encode()


def _without(now: bytes, part: str, form: str) -> bytes:
    """Return what a file holds when our part is cut out of it."""
    if form == Form.FILESYSTEM:
        return flatpak_overrides.without_filesystem(now, part)
    return now.replace(part.encode(), b"", 1)


def _put_back(now: bytes | None, kept: _Before) -> bytes | None:
    """Return what a file would hold without us; None for no file."""
    if now is None:  # somebody took it away
        return None
    if digest(now) == kept.after:
        return from_text(kept.before)
    left = _without(now, kept.part, kept.form)
    return left if left.strip() or kept.before is not None else None


def _write(file: Path, held: bytes) -> None:
    """Write a file: root's for all to read, a user's for that user."""
    if os.geteuid() == 0:
        write(file, held)
    else:
        write(file, held, 0o600, 0o700)
