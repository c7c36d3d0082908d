"""Files of other programs that we change and put back to the byte: read, written whole, and kept in a record."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o644, 0o755  # of what all may read


def content(file: Path) -> bytes | None:
    """Return what a file holds; None where there is none."""
    return file.read_bytes() if file.is_file() else None


def digest(held: bytes) -> str:
    """Return the hash by which we know what we wrote."""
    return sha256(held).hexdigest()


def as_text(held: bytes | None) -> str | None:
    """Return a file's content as a record has it."""
    return None if held is None else b64encode(held).decode()


def from_text(text: str | None) -> bytes | None:
    """Return a file's content from a record. Raises ValueError."""
    return None if text is None else b64decode(text, validate=True)


def missing(folder: Path) -> Iterator[Path]:
    """Yield this folder and those around it that are not there, outermost first."""
    yield from reversed([path for path in (folder, *folder.parents) if not path.exists()])


def restore(file: Path, held: bytes | None) -> None:
    """Have the file hold this, or be gone for None."""
    if held is None:
        file.resolve().unlink(missing_ok=True)
    else:
        write(file, held)


def write(file: Path, held: bytes, mode: int = FILE_MODE, folder_mode: int = FOLDER_MODE) -> None:
    """Write a file whole; a link stays one, and what it leads to is written. The modes are those of what is made."""
    file = file.resolve()
    for folder in missing(file.parent):
        folder.mkdir(mode=folder_mode)
        folder.chmod(folder_mode)
    part = file.with_name(f".{file.name}.cardd")
    part.write_bytes(held)
    part.chmod(file.stat().st_mode & 0o7777 if file.exists() else mode)
    part.replace(file)
