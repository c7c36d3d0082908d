"""Where programs of this machine find a PKCS#11 module, and how ``p11-kit-client.so`` gets in and out of there.

Each place is a file: one of our own, or one of somebody else's that has our part at its end. What a file held is kept,
so that it is put back to the byte; one that somebody else changed meanwhile loses our part and nothing else. Root
changes the machine's places, a user their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from cardd.cli.kept_files import alone, as_text, content, digest, drop, from_text, missing, modified, restore, write
from cardd.cli.trust_stores import DATABASE, nss_stores
from cardd.errors import RegistrationUnreadable

NAME = "cardd"
CLIENTS = (
    "usr/lib/*/pkcs11/p11-kit-client.so",
    "usr/lib64/pkcs11/p11-kit-client.so",
    "usr/lib/pkcs11/p11-kit-client.so",
)
MODULE = "pkcs11/modules/cardd.module"
ENVIRONMENT = "environment.d/60-cardd.conf"
SSH = "etc/ssh/ssh_config.d/cardd.conf"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """A file by which some programs find the module; ``part`` is our part of it, or all of it."""

    program: str
    package: str
    file: Path
    part: str
    is_own: bool

    def state(self) -> str:
        """Return ``registered``, ``absent`` or ``other``, for a file of that name that is not ours."""
        now = content(self.file)
        if now is None:
            return "other" if self.file.exists() else "absent"  # a folder or a pipe
        if self.is_own:
            return "registered" if now == self.part.encode() else "other"
        return "registered" if self.part.encode() in now else "absent"


@dataclass(frozen=True, slots=True)
class _Before:
    """What a file held (base64; None where there was none), the hash of what our part made of it, the folders made.

    ``modified`` is when it had been changed last, in nanoseconds.
    """

    before: str | None
    after: str
    part: str
    folders: list[str]
    modified: int | None = None


def client(root: Path = Path("/")) -> Path | None:
    """Return where the distribution has ``p11-kit-client.so``."""
    return next((file for pattern in CLIENTS for file in sorted(root.glob(pattern))), None)


def machine(socket: Path, module: Path, root: Path = Path("/")) -> Iterator[Place]:
    """Yield the places of all users."""
    yield Place("p11-kit", "", root / "etc" / MODULE, f"remote: unix:path={socket}\n", is_own=True)
    yield Place("session", "", root / "etc" / ENVIRONMENT, _environment(socket), is_own=True)
    if (root / SSH).parent.is_dir():
        yield Place("ssh", "", root / SSH, f"PKCS11Provider {module}\n", is_own=True)


def personal(socket: Path, module: Path, home: Path) -> Iterator[Place]:
    """Yield the places of one user: p11-kit's, the session's environment, the NSS databases of browsers."""
    yield Place("p11-kit", "", home / ".config" / MODULE, f"remote: unix:path={socket}\n", is_own=True)
    yield Place("session", "", home / ".config" / ENVIRONMENT, _environment(socket), is_own=True)
    for store in nss_stores(home):
        if store.package != "deb":  # a sandbox has neither the module's file nor the socket
            continue
        # a browser makes the rest of a database that has this file alone
        part = f"library={module}\nname={NAME}\n\n"
        yield Place(store.browser, store.package, store.path / DATABASE[2], part, is_own=False)


def _environment(socket: Path) -> str:
    return f"P11_KIT_SERVER_ADDRESS=unix:path={socket}\n"


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
            return _each(self._undo, list(self._record()))

    def _put(self, place: Place) -> None:
        if place.state() == "registered":
            return
        self._undo(str(place.file))  # ours of another socket or module
        if place.state() == "other":
            return
        record, before = self._record(), content(place.file)
        text = place.part.encode()
        held = text if place.is_own else _joined(before or b"", text)
        folders = [str(folder) for folder in missing(place.file.parent)]
        kept = _Before(as_text(before), digest(held), place.part, folders, modified(place.file))
        self._keep({**record, str(place.file): kept})  # before the file: what is half done can be undone
        _write(place.file, held)

    def _undo(self, name: str) -> None:
        record = self._record()
        if name not in record:
            return
        file, kept = Path(name), record.pop(name)
        left = _without(content(file), kept)
        restore(file, left, kept.modified if as_text(left) == kept.before else None)
        drop(kept.folders)
        self._keep(record)

    def _record(self) -> dict[str, _Before]:
        try:
            return {name: _recorded(one) for name, one in self._document().get("files", {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise RegistrationUnreadable(file=str(self._file)) from None

    def _document(self) -> dict[str, Any]:
        """Return the record as it is written, with the folders that were made for it."""
        held = content(self._file)
        if held is None:
            return {"folders": [str(folder) for folder in missing(self._file.parent)]}
        try:
            found = json.loads(held)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "files" not in found:
            raise RegistrationUnreadable(file=str(self._file))
        return found

    def _keep(self, record: dict[str, _Before]) -> None:
        folders = self._document().get("folders", [str(self._file.parent)])
        if record:
            files = {name: asdict(one) for name, one in record.items()}
            _write(self._file, json.dumps({"format": 1, "folders": folders, "files": files}, indent=2).encode() + b"\n")
        else:
            restore(self._file, None)
            drop(folders)


def _each(work: Callable[[T], None], things: Iterable[T]) -> list[OSError]:
    """Do the work with each; return what kept us from some: one folder that is read-only keeps nothing else back."""
    faults = []
    for thing in things:
        try:
            work(thing)
        except OSError as fault:
            faults.append(fault)
    return faults


def _recorded(one: dict[str, Any]) -> _Before:
    """Return what was kept of a file. Raises TypeError, ValueError for what we never wrote."""
    kept = _Before(**one)
    texts = (kept.before or "", kept.after, kept.part, *kept.folders)
    if not all(isinstance(text, str) for text in texts) or not isinstance(kept.modified or 0, int):
        raise TypeError("text")
    from_text(kept.before)
    return kept


def _joined(before: bytes, part: bytes) -> bytes:
    """Return both, with an empty line between: NSS's file is blocks that end with one."""
    if not before.strip():
        return part
    return before + b"\n" * max(0, 2 - (len(before) - len(before.rstrip(b"\n")))) + part


def _without(now: bytes | None, kept: _Before) -> bytes | None:
    """Return what a file would hold without us; None for no file."""
    if now is None:  # somebody took it away
        return None
    if digest(now) == kept.after:
        return from_text(kept.before)
    left = now.replace(kept.part.encode(), b"", 1)
    return left if left.strip() or kept.before is not None else None


def _write(file: Path, held: bytes) -> None:
    """Write a file: root's for all to read, a user's for that user."""
    if os.geteuid() == 0:
        write(file, held)
    else:
        write(file, held, 0o600, 0o700)
