"""The inner SHA-256 state that the card continues from."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.errors import AlgorithmUnsupported
from cardd_drivers.cps3.midstate import split
from tests.drivers.compression import complete


def test_the_judge_agrees_with_the_published_example() -> None:
    two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"  # FIPS 180-4, 56 bytes
    start = bytes.fromhex("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19") + bytes(8)
    assert complete(start, two_blocks).hex() == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"


@given(st.binary(min_size=65, max_size=400) | st.integers(65, 1000).map(bytes))
def test_state_and_last_block_complete_to_the_digest(message: bytes) -> None:
    parts = split(message)
    assert 1 <= len(parts.last_block) <= 64
    assert len(parts.intermediate) == 40
    assert complete(parts.intermediate, parts.last_block) == hashlib.sha256(message).digest()


@pytest.mark.parametrize(("size", "last"), [(1, 1), (63, 63), (64, 64), (65, 1), (128, 64), (129, 1)])
def test_an_exact_multiple_leaves_a_full_block(size: int, last: int) -> None:
    parts = split(bytes(size))
    assert len(parts.last_block) == last
    assert bool(parts.intermediate) == (size > 64)


def test_an_empty_message_has_no_last_block() -> None:
    with pytest.raises(AlgorithmUnsupported):
        split(b"")
