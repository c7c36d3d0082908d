"""Proofs by pages' keys as bytes that anybody may send: each is taken, or refused by one error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.core.page_keys import page_key
from cardd.core.page_passes import PagePasses
from cardd.errors import PageProofInvalid
from cardd.model import Peer
from tests.rig.memory import ManualClock
from tests.rig.page_keys import BrowserKey, encoded

KEY = BrowserKey()
ORIGIN, ADDRESS = "https://webps.example", "127.0.0.1:17463"
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=4)


@given(st.text() | st.binary().map(encoded) | st.lists(st.binary().map(encoded), min_size=3, max_size=3).map(".".join))
@settings(max_examples=200)
def test_whatever_is_sent_as_a_proof_is_refused_by_the_one_error(proof: str) -> None:
    passes = PagePasses(ManualClock())
    with pytest.raises(PageProofInvalid):
        passes.check(page_key(str(KEY.jwk["x"]), str(KEY.jwk["y"])), proof, ORIGIN, Peer(1000), address=ADDRESS)


@given(JSON | st.sampled_from(["\ud800", "\udc80", "\0", "é"]))
@settings(max_examples=200)
def test_whatever_is_signed_as_a_challenge_is_refused_by_the_one_error(nonce: object) -> None:
    passes = PagePasses(ManualClock())
    passes.challenge(ORIGIN, Peer(1000))
    proof = KEY.signed({"iss": ORIGIN, "aud": ADDRESS, "nonce": nonce})
    with pytest.raises(PageProofInvalid):
        passes.check(page_key(str(KEY.jwk["x"]), str(KEY.jwk["y"])), proof, ORIGIN, Peer(1000), address=ADDRESS)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
@settings(max_examples=50)
def test_a_key_that_is_no_point_signs_nothing(x: bytes, y: bytes) -> None:
    key = page_key(encoded(x), encoded(y))
    with pytest.raises(PageProofInvalid):
        key.check(KEY.proof("c", ORIGIN, ADDRESS), origin=ORIGIN, address=ADDRESS, challenge="c")


def test_the_name_of_a_key_is_that_of_the_norm() -> None:
    """RFC 7638 over the key of RFC 7515, A.3."""
    key = page_key("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    assert key.thumbprint == "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
