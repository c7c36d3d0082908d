"""Documents as files without a name: read in pieces, so that a large one does not fill the memory.

The system deletes such a file when it is closed, whatever happens to the daemon (O_TMPFILE): none stays behind.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

PIECE = 1024 * 1024


def new_document(content: bytes = b"") -> BinaryIO:
    """A file without a name that holds ``content``, at its beginning."""
    # closed by whoever takes it
    document = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115
    document.write(content)
    document.seek(0)
    return document


def pieces(document: BinaryIO) -> Iterator[bytes]:
    """The whole document from its beginning, a MiB at a time."""
    document.seek(0)
    while piece := document.read(PIECE):
        yield piece


def size_of(document: BinaryIO) -> int:
    """Its size in bytes; the position moves to its end."""
    return document.seek(0, os.SEEK_END)


def sha256_of(document: BinaryIO) -> bytes:
    """The SHA-256 of the whole document."""
    digest = hashlib.sha256()
    for piece in pieces(document):
        digest.update(piece)
    return digest.digest()
