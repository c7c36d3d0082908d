"""The last step of SHA-1 and SHA-256 from a given inner state, as the card does it; hashlib cannot start in the middle.

Source: FIPS 180-4, sections 4 to 6.
"""

from __future__ import annotations

from collections.abc import Callable

BLOCK = 64
WORD = 0xFFFFFFFF
SHA1_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)

State = tuple[int, ...]
Compress = Callable[[State, bytes], State]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _fraction(value: float) -> int:
    return int(value % 1 * 2**32)


SHA256_START = tuple(_fraction(prime**0.5) for prime in _primes(8))
SHA256_CONSTANTS = tuple(_fraction(prime ** (1 / 3)) for prime in _primes(64))


def _left(word: int, count: int) -> int:
    return (word << count | word >> 32 - count) & WORD


def _right(word: int, count: int) -> int:
    return _left(word, 32 - count)


def _words(block: bytes) -> list[int]:
    return [int.from_bytes(block[place : place + 4], "big") for place in range(0, BLOCK, 4)]


def compress_sha256(state: State, block: bytes) -> State:
    """Return the state after one more block of SHA-256."""
    w = _words(block)
    for t in range(16, 64):
        low = _right(w[t - 15], 7) ^ _right(w[t - 15], 18) ^ w[t - 15] >> 3
        high = _right(w[t - 2], 17) ^ _right(w[t - 2], 19) ^ w[t - 2] >> 10
        w.append((w[t - 16] + low + w[t - 7] + high) & WORD)
    a, b, c, d, e, f, g, h = state
    for t in range(64):
        choice = h + (_right(e, 6) ^ _right(e, 11) ^ _right(e, 25)) + (e & f ^ ~e & g) + SHA256_CONSTANTS[t] + w[t]
        majority = (_right(a, 2) ^ _right(a, 13) ^ _right(a, 22)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (choice + majority) & WORD, a, b, c, (d + choice) & WORD, e, f, g
    return _added(state, (a, b, c, d, e, f, g, h))


def compress_sha1(state: State, block: bytes) -> State:
    """Return the state after one more block of SHA-1."""
    w = _words(block)
    for t in range(16, 80):
        w.append(_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1))
    a, b, c, d, e = state
    for t in range(80):
        mixed, constant = _sha1_step(t, b, c, d)
        a, b, c, d, e = (_left(a, 5) + mixed + e + constant + w[t]) & WORD, a, _left(b, 30), c, d
    return _added(state, (a, b, c, d, e))


def _sha1_step(t: int, b: int, c: int, d: int) -> tuple[int, int]:
    if t < 20:
        return b & c ^ ~b & d, 0x5A827999
    if t < 40:
        return b ^ c ^ d, 0x6ED9EBA1
    if t < 60:
        return b & c ^ b & d ^ c & d, 0x8F1BBCDC
    return b ^ c ^ d, 0xCA62C1D6


def _added(state: State, more: State) -> State:
    return tuple((old + new) & WORD for old, new in zip(state, more, strict=True))


def finish(compress: Compress, state: State, bits_before: int, last: bytes) -> bytes:
    """Return the digest of what ``state`` holds, with its number of bits, and of the last bytes (64 at most)."""
    padded = last + b"\x80"
    bits = (bits_before + 8 * len(last)) % 2**64
    padded += bytes(-(len(padded) + 8) % BLOCK) + bits.to_bytes(8, "big")
    for place in range(0, len(padded), BLOCK):
        state = compress(state, padded[place : place + BLOCK])
    return b"".join(word.to_bytes(4, "big") for word in state)
