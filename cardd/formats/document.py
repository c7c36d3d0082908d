"""Documents as files without a name, encrypted: read in pieces, so that a large one does not fill the memory.

The system deletes such a file when it is closed, whatever happens to the daemon (O_TMPFILE), and what was in it cannot
be read on the disk (``sealed``). What a decoder says of one that it cannot read becomes one refusal (``reading``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from typing import BinaryIO, cast

from msgspec import DecodeError

from cardd.errors import CarddError, DocumentNoSpace
from cardd.formats.sealed import SealedFile, buffered, sealed_in

PIECE = 1024 * 1024
NO_SPACE = (ENOSPC, EDQUOT, EFBIG)
# asn1crypto decodes what is asked for when it is asked for: what it finds missing or of another type is told by any
UNREADABLE = (
    DecodeError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


@contextmanager
def with_space() -> Iterator[None]:
    """Raise DocumentNoSpace where the disk is full, or may not be used further."""
    try:
        yield
    except OSError as fault:
        if fault.errno in NO_SPACE:
            raise DocumentNoSpace from fault
        raise


def new_document(content: bytes = b"") -> BinaryIO:
    """A file without a name that holds ``content``, at its beginning."""
    with filled() as document:
        document.write(content)
    return document


@contextmanager
def filled() -> Iterator[BinaryIO]:
    """A file without a name, to be filled inside and taken after it, at its beginning; closed where that fails."""
    document = cast(BinaryIO, buffered(SealedFile()))
    try:
        yield document
        document.seek(0)
    except BaseException:
        with suppress(OSError):  # what is still to be written has no room either
            document.close()
        raise


def settle(document: BinaryIO) -> None:
    """Leave nothing of the document in memory that its file can hold. Raises DocumentNoSpace."""
    if file := sealed_in(document):
        with with_space():
            file.settle()


def again(document: BinaryIO) -> BinaryIO:
    """Return the document as a file of its own, with a position of its own, which outlives this one."""
    file = sealed_in(document)
    if file is None:  # pragma: no cover - what a session holds is sealed
        raise TypeError(type(document))
    return cast(BinaryIO, buffered(file.again()))


def pieces(document: BinaryIO) -> Iterator[bytes]:
    """The whole document from its beginning, a MiB at a time."""
    document.seek(0)
    while piece := document.read(PIECE):
        yield piece


def size_of(document: BinaryIO) -> int:
    """Return the size in bytes; the position moves to the end."""
    return document.seek(0, os.SEEK_END)


def sha256_of(document: BinaryIO) -> bytes:
    """The SHA-256 of the whole document."""
    digest = hashlib.sha256()
    for piece in pieces(document):
        digest.update(piece)
    return digest.digest()


@contextmanager
def reading(refusal: CarddError, *others: type[CarddError]) -> Iterator[None]:
    """Raise ``refusal`` for whatever cannot be read inside, and in place of ``others``."""
    faults: tuple[type[Exception], ...] = (*UNREADABLE, *others)
    try:
        yield
    except faults as fault:
        raise refusal from fault
