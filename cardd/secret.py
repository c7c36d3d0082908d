"""Memory for a PIN: locked, left out of core dumps and of child processes, wiped after use.

CPython copies and keeps ``bytes`` and ``str`` as it likes, so a PIN is never one of them: it is read from the
prompt straight into a page of its own and handed to the card from there.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

CAPACITY = mmap.PAGESIZE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mlock.argtypes = _libc.munlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class Secret:
    """Up to one page of secret bytes. Use it as a context manager, or call ``wipe`` when it has served.

    ``locked`` tells whether the system let the page be locked (RLIMIT_MEMLOCK): doctor reports it when not.
    """

    __slots__ = ("_lock", "_page", "_size", "locked")

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, CAPACITY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._size = 0
        self._lock = threading.Lock()
        handle = ctypes.c_char.from_buffer(self._page)
        self.locked = _libc.mlock(ctypes.addressof(handle), CAPACITY) == 0
        del handle
        for advice in ("MADV_DONTDUMP", "MADV_DONTFORK"):
            with contextlib.suppress(OSError, AttributeError):
                self._page.madvise(getattr(mmap, advice))

    @classmethod
    def of(cls, value: bytes) -> Self:
        """A secret that starts from bytes already in memory: tests, and passwords that came from elsewhere."""
        secret = cls()
        secret.fill(memoryview(value))
        return secret

    def fill(self, value: memoryview) -> None:
        """Replace the content. Raises ValueError when it does not fit one page."""
        if len(value) > CAPACITY:
            raise ValueError("a secret has at most one page")
        self.wipe()
        self._page[: len(value)] = value
        self._size = len(value)

    @contextlib.contextmanager
    def view(self) -> Iterator[memoryview]:
        """The content, not copied; a wipe from another thread waits, so that nobody reads half a PIN."""
        with self._lock, memoryview(self._page) as page, page[: self._size] as view:
            yield view

    @contextlib.contextmanager
    def lent(self) -> Iterator[bytes]:
        """The content as ``bytes``, for a library that takes nothing else; its memory is overwritten afterwards.

        What that library copies is out of our reach.
        """
        with self.view() as view:
            value = bytes(view)
        try:
            yield value
        finally:
            ctypes.memset(id(value) + bytes.__basicsize__ - 1, 0, len(value))

    def room(self) -> memoryview:
        """The whole page for a reader that fills it in place; call ``keep`` afterwards."""
        return memoryview(self._page)

    def keep(self, start: int, end: int) -> None:
        """Keep bytes ``start`` to ``end`` of the page as the content, and wipe the others."""
        size = end - start
        with memoryview(self._page) as page:
            page[:size] = page[start:end]
            page[size:] = bytes(CAPACITY - size)
        self._size = size

    def wipe(self) -> None:
        """Overwrite the page with zeros; the secret is empty then and may be filled again."""
        with self._lock:
            self._page[:] = bytes(CAPACITY)
            self._size = 0

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0

    def __repr__(self) -> str:
        return "<Secret>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        with contextlib.suppress(ValueError, AttributeError):
            self.wipe()
