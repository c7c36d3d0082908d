"""A file that is encrypted before it reaches the disk, with a key that is in memory only and is wiped with it.

A document is handed over, signed and forgotten; what its file leaves on the disk, in a journal of the file system or in
an image that somebody takes later, is of no use to anybody.

The content is cut into chunks, each sealed by itself (AES-256-GCM, a random nonce for each write), so that a large
document streams and any part of it can be read and written. A chunk is written at the file's end and never over an
older one: ``Layout``, in memory, says where each is and how long the whole is. Place, number and length are sealed with
the chunk, so that chunks that were moved, put back or cut off are not taken for the content. A process that dies while
it writes leaves what was there before. The newest chunk stays in memory: a document of one chunk has no file until it
is asked for.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from cardd.libcrypto import KEY_SIZE, NONCE_SIZE, TAG_SIZE, NotSealed, seal, unseal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CHUNK = 64 * 1024


class Layout(Struct):
    """Where each chunk lies, how long the content is, and from where on the file is free."""

    places: list[int] = []
    size: int = 0
    free: int = 0


class Cover(Struct, frozen=True):
    """What opens a sealed file: for the process that is handed the file itself beside it."""

    key: bytes
    layout: Layout


class Positioned(io.RawIOBase):
    """A file that is read and written anywhere, at a position that no other object has; ``extent`` is its size."""

    _position = 0

    def extent(self) -> int:
        """Return how many bytes it has."""
        raise NotImplementedError

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes, where what is behind it is."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position, and tell it (``io.RawIOBase``). Raises ValueError for one before the beginning."""
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self.extent()
        if offset < 0:
            raise ValueError(offset)
        self._position = offset
        return offset


class SealedFile(Positioned):
    """The content of one file, read and written anywhere; used by one thread at a time."""

    def __init__(self, handle: int | None = None, cover: Cover | None = None) -> None:
        """Begin an empty one, or open what is behind a descriptor, which is this object's from now on."""
        self._handle = handle
        self._key = bytearray(cover.key if cover else os.urandom(KEY_SIZE))
        found = cover.layout if cover else Layout()
        self._layout = Layout(list(found.places), found.size, found.free)
        self._plain = bytearray()  # the chunk in memory
        self._number = -1
        self._is_new = False  # whether it is not on the disk as it is in memory

    # --- for those who share the file ---

    def settle(self) -> int:
        """Put everything on the disk; return the file's descriptor. Raises OSError."""
        self._store()
        return self._file()

    def cover(self) -> Cover:
        """Return what opens the file, once it has settled."""
        return Cover(bytes(self._key), Layout(list(self._layout.places), self._layout.size, self._layout.free))

    def taken_back(self, layout: Layout) -> None:
        """Go on with what another process wrote to the file. Raises ValueError for what no file looks like."""
        if len(layout.places) != -(-layout.size // CHUNK) or min(layout.free, *layout.places, 0) < 0:
            raise ValueError(layout)
        if max(layout.free, *layout.places, 0) > os.fstat(self._file()).st_size:
            raise ValueError(layout)
        self._wipe()
        self._layout = layout

    def again(self) -> SealedFile:
        """Return the same content with a position of its own, which outlives this one."""
        handle = os.dup(self.settle())
        return SealedFile(handle, self.cover())

    # --- io.RawIOBase ---

    def extent(self) -> int:
        """Return how long the content is."""
        return self._layout.size

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is left of the chunk at the position. Raises OSError for a file that was tampered with."""
        if self._position >= self._layout.size:
            return 0
        number, begin = divmod(self._position, CHUNK)
        self._load(number)
        with memoryview(buffer).cast("B") as room:
            count = min(len(room), len(self._plain) - begin)
            room[:count] = self._plain[begin : begin + count]
        self._position += count
        return count

    def write(self, content: ReadableBuffer, /) -> int:
        """Write up to the end of the chunk at the position, and tell how many bytes. Raises OSError."""
        self._fill_gap()
        number, begin = divmod(self._position, CHUNK)
        with memoryview(content).cast("B") as given:
            count = min(len(given), CHUNK - begin)
            self._load(number)
            self._plain[begin : begin + count] = given[:count]
        self._is_new = True
        self._position += count
        self._layout.size = max(self._layout.size, self._position)
        return count

    def close(self) -> None:
        """Wipe the key and what is in memory, and give the file back; what is left on the disk is noise."""
        if not self.closed:
            self._wipe()
            self._key[:] = bytes(len(self._key))
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
        super().close()

    # --- chunks ---

    def _fill_gap(self) -> None:
        """Write zeros where the position is beyond the end, as a file has them."""
        until = self._position
        while self._layout.size < until:
            self._position = self._layout.size
            self.write(bytes(min(CHUNK, until - self._position)))
        self._position = until

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        self._store()
        self._wipe()
        if number < len(self._layout.places):
            self._plain = bytearray(self._read(number))
        self._number = number

    def _store(self) -> None:
        if not self._is_new:
            return
        place, number = self._layout.free, self._number
        nonce = os.urandom(NONCE_SIZE)
        sealed = nonce + seal(self._key, nonce, self._plain, _about(place, number, len(self._plain)))
        _write(self._file(), sealed, place)
        if number == len(self._layout.places):
            self._layout.places.append(place)
        else:
            self._layout.places[number] = place
        self._layout.free = place + len(sealed)
        self._is_new = False

    def _read(self, number: int) -> bytes:
        place = self._layout.places[number]
        size = min(CHUNK, self._layout.size - number * CHUNK)
        sealed = os.pread(self._file(), NONCE_SIZE + size + TAG_SIZE, place)
        try:
            return unseal(self._key, sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], _about(place, number, size))
        except NotSealed as fault:
            raise OSError(errno.EIO, "a document's file was changed") from fault

    def _file(self) -> int:
        if self._handle is None:
            with tempfile.TemporaryFile(buffering=0) as file:  # without a name: the system frees it whatever happens
                self._handle = os.dup(file.fileno())
        return self._handle

    def _wipe(self) -> None:
        self._plain[:] = bytes(len(self._plain))
        self._plain, self._number, self._is_new = bytearray(), -1, False


def sealed_in(document: object) -> SealedFile | None:
    """Return the sealed file behind a document, what was written to it included; None for another kind of file."""
    if isinstance(document, io.BufferedRandom) and isinstance(document.raw, SealedFile):
        document.flush()
        return document.raw
    return None


def buffered(file: SealedFile) -> io.BufferedRandom:
    """Return the file behind a buffer, as documents are used."""
    return io.BufferedRandom(cast(io.RawIOBase, file))


def _about(place: int, number: int, size: int) -> bytes:
    """Return what is sealed with a chunk beside its content."""
    return b"cardd document 1" + b"".join(part.to_bytes(8, "big") for part in (place, number, size))


def _write(file: int, content: bytes, place: int) -> None:
    with memoryview(content) as left:
        written = 0
        while written < len(left):
            written += os.pwrite(file, left[written:], place + written)
