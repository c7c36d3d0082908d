"""The card's own last step of SHA-1 and SHA-256, against hashlib."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from cardd_simulators.cards import hashing


@given(message=st.binary(max_size=300))
def test_sha256_in_two_halves_is_the_whole(message: bytes) -> None:
    state, bits, last = _begun(hashing.compress_sha256, hashing.SHA256_START, message)
    assert hashing.finish(hashing.compress_sha256, state, bits, last) == hashlib.sha256(message).digest()


@given(message=st.binary(max_size=300))
def test_sha1_in_two_halves_is_the_whole(message: bytes) -> None:
    state, bits, last = _begun(hashing.compress_sha1, hashing.SHA1_START, message)
    assert hashing.finish(hashing.compress_sha1, state, bits, last) == hashlib.sha1(message).digest()


def _begun(compress: hashing.Compress, state: hashing.State, message: bytes) -> tuple[hashing.State, int, bytes]:
    """What the host has done when 1 to 64 bytes are left."""
    before = max(0, (len(message) - 1) // hashing.BLOCK * hashing.BLOCK)
    for place in range(0, before, hashing.BLOCK):
        state = compress(state, message[place : place + hashing.BLOCK])
    return state, 8 * before, message[before:]
