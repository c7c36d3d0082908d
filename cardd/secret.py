"""What nobody else may see: memory for a PIN, and tokens that are kept only as hashes (rules 1 and 9).

CPython copies and keeps ``bytes`` and ``str`` as it likes, so a PIN is never one of them: it is read from the prompt
straight into a page of its own, and handed to the card from there. The page is locked, left out of core dumps and of
child processes, and wiped after use. A token is random, and leaves the daemon once.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import hmac
import mmap
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

CAPACITY = mmap.PAGESIZE
TOKEN_BYTES = 32

_libc = ctypes.CDLL(None, use_errno=True)
_memset = ctypes.PyDLL(None).memset  # too short for another thread to run meanwhile
_memset.argtypes, _memset.restype = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t), None
_libc.mlock.argtypes = _libc.munlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def overwrite(value: str | bytes) -> None:
    """Overwrite a value that this caller alone has, and that nobody needs any more, in the place where it lies.

    For what a library gave as ``str`` or ``bytes`` and nothing else. Never for a constant, or a value that is a key of
    something. A text with other characters than ASCII is left as it is, and so is a single character: Python shares it.
    """
    if len(value) < 2:
        return
    if isinstance(value, bytes):
        _memset(id(value) + bytes.__basicsize__ - 1, 0, len(value))
    elif value.isascii():
        _memset(id(value) + sys.getsizeof("") - 1, 0, len(value))  # behind the header of PyASCIIObject


class Secret:
    """Up to one page of secret bytes, or as many as it is made for. Use it as a context manager, or call ``wipe``.

    ``locked`` tells whether the system let the page be locked (RLIMIT_MEMLOCK): doctor reports it when not.
    """

    __slots__ = ("_capacity", "_lock", "_page", "_size", "locked")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = max(1, -(-capacity // CAPACITY)) * CAPACITY
        self._page = mmap.mmap(-1, self._capacity, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._size = 0
        self._lock = threading.Lock()
        handle = ctypes.c_char.from_buffer(self._page)
        self.locked = _libc.mlock(ctypes.addressof(handle), self._capacity) == 0
        del handle
        for advice in ("MADV_DONTDUMP", "MADV_DONTFORK"):
            with contextlib.suppress(OSError, AttributeError):
                self._page.madvise(getattr(mmap, advice))

    @classmethod
    def of(cls, value: bytes) -> Self:
        """A secret that starts from bytes already in memory: tests, and passwords that came from elsewhere."""
        secret = cls(len(value))
        secret.fill(memoryview(value))
        return secret

    def copy(self) -> Self:
        """Return the same secret in a page of its own, for whoever uses it longer than this one lasts."""
        with self.view() as view:
            secret = type(self)(len(view))
            secret.fill(view)
        return secret

    def fill(self, value: memoryview) -> None:
        """Replace the content. Raises ValueError when it does not fit."""
        if len(value) > self._capacity:
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
            overwrite(value)

    @contextlib.contextmanager
    def lent_text(self) -> Iterator[str]:
        """The content as ``str``, as ``lent`` does. Raises UnicodeDecodeError when it is no text."""
        with self.view() as view:
            value = str(view, "utf-8")
        try:
            yield value
        finally:
            overwrite(value)

    def room(self) -> memoryview:
        """The whole page for a reader that fills it in place; call ``keep`` afterwards."""
        return memoryview(self._page)

    def keep(self, start: int, end: int) -> None:
        """Keep bytes ``start`` to ``end`` of the page as the content, and wipe the others."""
        size = end - start
        with memoryview(self._page) as page:
            page[:size] = page[start:end]
            page[size:] = bytes(self._capacity - size)
        self._size = size

    def wipe(self) -> None:
        """Overwrite the page with zeros; the secret is empty then and may be filled again."""
        with self._lock:
            self._page[:] = bytes(self._capacity)
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


def new_token() -> str:
    """Return a bearer token of 256 random bits, URL-safe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_id() -> str:
    """Return an identifier: unguessable enough to be a path, yet no proof of anything."""
    return os.urandom(8).hex()


def proof(kept: str, challenge: str, address: str) -> str:
    """Return what shows a paired program that this very address is the daemon that it was paired with (HMAC, hex).

    The key is what both know and nobody else does: the secret's fingerprint. The address keeps a program that took
    our port from passing the question on to us and our answer back.
    """
    message = "\0".join(("cardd proof", challenge, address)).encode()
    return hmac.new(bytes.fromhex(kept), message, hashlib.sha256).hexdigest()


def seal(token: str) -> bytes:
    """Return a key for what is kept for whoever knows the token; its fingerprint does not lead there (HMAC)."""
    return hmac.new(token.encode(), b"cardd seal 1", hashlib.sha256).digest()


def fingerprint(token: str) -> str:
    """Return what is kept of a token (SHA-256, hex). Tokens are random, so no salt or stretching is needed."""
    raw = token.encode(errors="surrogateescape")  # a header may have any bytes: they are nobody's token
    try:
        return hashlib.sha256(raw).hexdigest()
    finally:
        overwrite(raw)
