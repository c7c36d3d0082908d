"""A raw signature: the key's bare value over a document, or over its SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from cardd.errors import DocumentContentMissing
from cardd.formats.document import sha256_of, size_of
from cardd.model import Message

CONTENT_MAX = 16 * 1024 * 1024  # a longer one goes to the key by its digest alone


def prepare_raw(document: BinaryIO | None, digest: bytes | None) -> RawPrepared:
    """A signature of either. Raises DocumentContentMissing where there is neither."""
    if digest is not None:
        return RawPrepared(Message(digest))
    if document is None:
        raise DocumentContentMissing
    is_small = size_of(document) <= CONTENT_MAX
    document.seek(0)
    content = document.read() if is_small else None
    return RawPrepared(Message(sha256_of(document), content))


@dataclass(frozen=True, slots=True)
class RawPrepared:
    """What the key signs, and nothing around it."""

    message: Message

    def stamped(self, value: bytes) -> bytes:
        """The value."""
        return value

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:  # noqa: ARG002 - has no place for it
        """The value."""
        return BytesIO(value)
