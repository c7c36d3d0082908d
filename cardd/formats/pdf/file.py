"""An open file read and written at positions of our own: the one that it shares with the daemon stays where it is."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class SharedFile(io.RawIOBase):
    """The file behind a descriptor, which it closes at its end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes, where the descriptor is."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """As io.RawIOBase has it."""
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def write(self, content: ReadableBuffer, /) -> int:
        """As io.RawIOBase has it."""
        count = os.pwrite(self._descriptor, content, self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As io.RawIOBase has it; ValueError before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        if base + offset < 0:
            raise ValueError(offset)
        self._position = base + offset
        return self._position

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def opened(descriptor: int) -> io.BufferedRandom:
    """The document behind this descriptor."""
    return io.BufferedRandom(SharedFile(descriptor))
