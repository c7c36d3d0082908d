"""SHA-256's compression function in plain Python, to judge what libcrypto gives. Source: FIPS 180-4."""

from __future__ import annotations

from decimal import Decimal, getcontext

MASK = 0xFFFFFFFF


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _constants() -> list[int]:
    """The first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2)."""
    getcontext().prec = 40
    roots = (Decimal(prime) ** (Decimal(1) / Decimal(3)) for prime in _primes(64))
    return [int((root % 1) * (1 << 32)) for root in roots]


K = _constants()


def _rotate(word: int, count: int) -> int:
    return (word >> count | word << (32 - count)) & MASK


def compress(state: list[int], block: bytes) -> list[int]:
    """One block (6.2.2)."""
    w = [int.from_bytes(block[n : n + 4], "big") for n in range(0, 64, 4)]
    for t in range(16, 64):
        s0 = _rotate(w[t - 15], 7) ^ _rotate(w[t - 15], 18) ^ w[t - 15] >> 3
        s1 = _rotate(w[t - 2], 17) ^ _rotate(w[t - 2], 19) ^ w[t - 2] >> 10
        w.append((w[t - 16] + s0 + w[t - 7] + s1) & MASK)
    a, b, c, d, e, f, g, h = state
    for t in range(64):
        t1 = h + (_rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)) + (e & f ^ ~e & MASK & g) + K[t] + w[t]
        t2 = (_rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (t1 + t2) & MASK, a, b, c, (d + t1) & MASK, e, f, g
    return [(old + new) & MASK for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def complete(intermediate: bytes, last_block: bytes) -> bytes:
    """The digest: the state and bit count before the last block, and the block of 1 to 64 bytes."""
    state = [int.from_bytes(intermediate[n : n + 4], "big") for n in range(0, 32, 4)]
    bits = int.from_bytes(intermediate[32:40], "big") + 8 * len(last_block)
    padded = last_block + b"\x80"
    padded += bytes(-(len(padded) + 8) % 64) + bits.to_bytes(8, "big")
    for start in range(0, len(padded), 64):
        state = compress(state, padded[start : start + 64])
    return b"".join(word.to_bytes(4, "big") for word in state)
