"""SHA-256 of all but the last block of a message, as the card wants it to finish the hash itself.

hashlib does not show its inner state, so libcrypto's own SHA256_Init and SHA256_Update are called; Debian's
libcrypto has had this context layout since before OpenSSL 1.0 and keeps it through 3.x.

Source: FIPS 180-4 section 6.2; openssl/sha.h for the layout; the card facts for the order of state and bit count.
"""

from __future__ import annotations

import ctypes
from functools import cache

from cardd.errors import AlgorithmUnsupported
from cardd.values import Value

BLOCK = 64
LIBRARY = "libcrypto.so.3"


class _Context(ctypes.Structure):
    _fields_ = (
        ("h", ctypes.c_uint32 * 8),
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("data", ctypes.c_uint32 * 16),
        ("pending", ctypes.c_uint),
        ("size", ctypes.c_uint),
        ("spare", ctypes.c_uint64 * 8),  # never used; room in case a libcrypto's context is longer
    )


class Split(Value):
    """A message as the card takes it: state and bit count of the whole blocks (empty for none), and the last block."""

    intermediate: bytes
    last_block: bytes


def split(message: bytes) -> Split:
    """Hash all but the last 1 to 64 bytes. Raises AlgorithmUnsupported for an empty message, or without libcrypto."""
    if not message:
        raise AlgorithmUnsupported(algorithm="SHA-256 of nothing, on the card")
    hashed = (len(message) - 1) // BLOCK * BLOCK
    return Split(_intermediate(message, hashed) if hashed else b"", message[hashed:])


def _intermediate(message: bytes, size: int) -> bytes:
    context = _Context()
    crypto = _libcrypto()
    crypto.SHA256_Init(ctypes.byref(context))
    crypto.SHA256_Update(ctypes.byref(context), message, size)
    return b"".join(word.to_bytes(4, "big") for word in context.h) + (size * 8).to_bytes(8, "big")


@cache
def _libcrypto() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
        library.SHA256_Init.argtypes = (ctypes.c_void_p,)
        library.SHA256_Update.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    except (OSError, AttributeError) as missing:
        raise AlgorithmUnsupported(algorithm="SHA-256 on the card") from missing
    return library
