"""Proofs by pages' keys as bytes that anybody may send: each is taken, or refused by one error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.core.page_keys import challenge_of, page_key
from cardd.core.page_passes import PagePasses
from cardd.errors import PageProofInvalid
from cardd.model import Peer
from tests.rig.memory import ManualClock
from tests.rig.page_keys import HEAD, BrowserKey, encoded

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


def checked(proof: str, key: BrowserKey = KEY) -> str:
    """Why the proof is refused; nothing where it holds."""
    shown = page_key(str(key.jwk["x"]), str(key.jwk["y"]))
    try:
        shown.check(proof, origin=ORIGIN, address=ADDRESS, challenge="c")
    except PageProofInvalid as refused:
        return str(refused.params["reason"])
    return ""


CLAIMS = {"iss": ORIGIN, "aud": ADDRESS, "nonce": "c"}


def test_a_proof_of_just_these_three_by_this_key_holds() -> None:
    assert checked(KEY.proof("c", ORIGIN, ADDRESS)) == ""
    assert challenge_of(KEY.proof("c", ORIGIN, ADDRESS)) == "c"


@pytest.mark.parametrize(
    ("claims", "head", "reason"),
    [
        ({**CLAIMS, "iss": "https://autre.example"}, HEAD, "origin"),
        ({**CLAIMS, "aud": "127.0.0.1:17464"}, HEAD, "address"),
        ({**CLAIMS, "nonce": "d"}, HEAD, "challenge"),
        ({**CLAIMS, "exp": 1}, HEAD, "form"),
        ({"iss": ORIGIN, "aud": ADDRESS}, HEAD, "form"),
        (b"[]", HEAD, "form"),
        (b"{", HEAD, "form"),
        (b"[" * 1100, HEAD, "form"),
        (b"\xff", HEAD, "form"),
        (CLAIMS, {**HEAD, "alg": "none"}, "form"),
        (CLAIMS, {**HEAD, "kid": "1"}, "form"),
        (CLAIMS, {"alg": "ES256"}, "form"),
        (b'{"iss": "https://webps.example", "aud": "127.0.0.1:17463", "nonce": "d", "nonce": "c"}', HEAD, "form"),
    ],
)
def test_a_proof_of_anything_else_is_told_what_is_wrong(
    claims: dict[str, object] | bytes, head: dict[str, object], reason: str
) -> None:
    assert checked(KEY.signed(claims, head)) == reason


def test_a_proof_of_another_key_or_that_was_changed_is_refused() -> None:
    proof = KEY.proof("c", ORIGIN, ADDRESS)
    head, claims, signature = proof.split(".")
    turned = ("A" if signature[0] != "A" else "B") + signature[1:]
    refused = [
        checked(BrowserKey().proof("c", ORIGIN, ADDRESS)),
        checked(f"{head}.{claims}.{turned}"),
        checked(f"{head}.{claims}.{signature[:-3]}"),
        checked(f"{head}.{claims}"),
        checked(f"{head}.{claims}.{signature}="),
        checked(f"{head}.{claims}.A"),
        checked(f"{head}.{claims}.{encoded(bytes(62))}"),
        checked(f"{head}.{claims}.{signature}.{signature}"),
        checked(f"{head}.{claims}{'A' * 2048}.{signature}"),
    ]
    assert refused == ["signature", "signature", *["form"] * 7]


def test_a_key_that_is_no_point_is_told() -> None:
    shown = page_key(encoded(b"\1" * 32), encoded(b"\2" * 32))
    with pytest.raises(PageProofInvalid) as refused:
        shown.check(KEY.proof("c", ORIGIN, ADDRESS), origin=ORIGIN, address=ADDRESS, challenge="c")
    assert refused.value.params == {"reason": "key"}
    for x, y in ((b"\1" * 31, b"\2" * 32), (b"\1" * 32, b"\2" * 33)):
        with pytest.raises(PageProofInvalid) as refused:
            page_key(encoded(x), encoded(y))
        assert refused.value.params == {"reason": "key"}


@pytest.mark.parametrize("nonce", [7, None, "é"])
def test_a_challenge_is_a_text_in_ascii(nonce: object) -> None:
    with pytest.raises(PageProofInvalid) as refused:
        challenge_of(KEY.signed({"nonce": nonce}))
    assert refused.value.params == {"reason": "form"}
