"""What every signature needs of libcrypto, judged by the cryptography package."""

from __future__ import annotations

import ctypes
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from cardd.libcrypto import LIBRARY, Certificate, NotSealed, seal, unseal
from cardd.model import Algorithm
from cardd_drivers.cps3.keys import DIGEST_INFO_SHA256
from tests.rig.pens import SmallAuthority
from tests.rig.saml import card_key, in_other_orders

KEY, NONCE = bytes(range(32)), bytes(range(12))
DOCUMENT = b"SIMULATION"
DIGEST = hashlib.sha256(DOCUMENT).digest()
SHA256 = hashes.SHA256()
ROOT = SmallAuthority("AC RACINE SIMULATION")
RSA_KEY = rsa.generate_private_key(65537, 2048)


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Certificate:
    return Certificate(ROOT.pen(key, Algorithm.RS256).signer.certificate)


def pss(salt: int) -> bytes:
    return RSA_KEY.sign(DOCUMENT, padding.PSS(padding.MGF1(SHA256), salt), SHA256)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_is_aes_gcm(content: bytes, about: bytes) -> None:
    sealed = seal(KEY, NONCE, content, about)
    assert sealed == AESGCM(KEY).encrypt(NONCE, content, about)
    assert seal(bytearray(KEY), NONCE, bytearray(content), about) == sealed
    assert unseal(bytearray(KEY), NONCE, sealed, about) == content


@given(st.binary(max_size=300), st.binary(max_size=40), st.data())
def test_a_changed_byte_opens_nothing(content: bytes, about: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, NONCE, content, about))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = seal(KEY, NONCE, content, about)[: data.draw(st.integers(0, len(sealed) - 1))]
    for key, octets, beside in (
        (KEY, bytes(sealed), about),
        (KEY, cut, about),
        (KEY, seal(KEY, NONCE, content, about), about + b"."),
        (KEY[::-1], seal(KEY, NONCE, content, about), about),
    ):
        with pytest.raises((InvalidTag, ValueError)):
            AESGCM(key).decrypt(NONCE, octets, beside)
        with pytest.raises(NotSealed):
            unseal(key, NONCE, octets, beside)


@pytest.mark.parametrize(("key", "nonce"), [(KEY[:16], NONCE), (KEY + b".", NONCE), (KEY, NONCE[:11]), (KEY, b"")])
def test_another_size_of_key_or_nonce_is_none(key: bytes, nonce: bytes) -> None:
    with pytest.raises(ValueError, match="size"):
        seal(key, nonce, b"content", b"")


def test_each_algorithm_accepts_its_own_signature_and_no_other() -> None:
    found, pkcs1 = certificate(RSA_KEY), RSA_KEY.sign(DOCUMENT, padding.PKCS1v15(), SHA256)
    assert found.has_rsa_key
    assert found.accepts(pkcs1, DIGEST, Algorithm.RS256)
    assert found.accepts(pss(32), DIGEST, Algorithm.PS256)
    changed = bytes((pkcs1[0] ^ 1,)) + pkcs1[1:]
    for wrong in (pss(32), changed, pkcs1[:-1], pkcs1 + b"\0", b"\0" + pkcs1, b"", bytes(256), b"\xff" * 256):
        assert not found.accepts(wrong, DIGEST, Algorithm.RS256)
    for wrong in (pkcs1, pss(20), pss(0)):  # RFC 7518, section 3.5: a salt as long as the digest
        assert not found.accepts(wrong, DIGEST, Algorithm.PS256)
    for digest in (DIGEST[::-1], DIGEST[:-1], DIGEST + b"\0", b""):
        assert not found.accepts(pkcs1, digest, Algorithm.RS256)
        assert not found.accepts(pss(32), digest, Algorithm.PS256)
    other_hash = RSA_KEY.sign(DOCUMENT, padding.PKCS1v15(), hashes.SHA512())
    assert not found.accepts(other_hash, hashlib.sha512(DOCUMENT).digest(), Algorithm.RS256)


def test_what_was_refused_changes_no_answer_to_what_comes_next() -> None:
    found, other = certificate(RSA_KEY), hashes.SHA512()
    by_pkcs1, by_pss = RSA_KEY.sign(DOCUMENT, padding.PKCS1v15(), SHA256), pss(32)
    digest = hashlib.sha512(DOCUMENT).digest()
    by_other = RSA_KEY.sign(DOCUMENT, padding.PKCS1v15(), other)
    for _ in range(3):
        for refused in (by_pss, by_other, bytes(256), b"", by_pkcs1[:-1]):
            assert not found.accepts(refused, DIGEST, Algorithm.RS256)
            assert found.accepts(by_pkcs1, DIGEST, Algorithm.RS256)
        for refused in (by_pkcs1, pss(20), bytes(256)):
            assert not found.accepts(refused, DIGEST, Algorithm.PS256)
            assert found.accepts(by_pss, DIGEST, Algorithm.PS256)
        assert not found.accepts(by_other, DIGEST, Algorithm.RS256, "sha512")
        assert found.accepts(by_other, digest, Algorithm.RS256, "sha512")
        assert not found.accepts_info(by_pkcs1, DIGEST)
        assert found.accepts_info(by_pkcs1, DIGEST_INFO_SHA256 + DIGEST)


def test_a_key_that_is_not_for_rsa_accepts_nothing() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    found = certificate(key)
    assert not found.has_rsa_key
    assert not found.accepts(key.sign(DOCUMENT, ec.ECDSA(SHA256)), DIGEST, Algorithm.RS256)


def test_bytes_that_are_no_certificate_are_refused() -> None:
    der = ROOT.chain[0]
    for wrong in (b"", b"\x30\x00", der[:-1], der + b"\0", os.urandom(500)):
        with pytest.raises(ValueError, match="no certificate"):
            Certificate(wrong)
    changed = Certificate(der[:-1] + bytes((der[-1] ^ 1,)))  # its signature's last byte
    assert not changed.is_issued_by(Certificate(der))


@pytest.mark.parametrize("der", in_other_orders(card_key()))
def test_an_older_card_s_certificate_is_read_as_its_authority_signed_it(der: bytes) -> None:
    found = Certificate(der)
    assert found.has_rsa_key
    assert found.is_issued_by(found)


def test_a_failure_leaves_no_error_for_python_s_ssl() -> None:
    errors = ctypes.CDLL(LIBRARY).ERR_peek_error
    found = certificate(RSA_KEY)
    errors.restype = ctypes.c_ulong
    assert not found.accepts(bytes(256), DIGEST, Algorithm.RS256)
    assert not found.is_issued_by(found)
    with pytest.raises(NotSealed):
        unseal(KEY, NONCE, bytes(40), b"")
    with pytest.raises(ValueError, match="no certificate"):
        Certificate(b"\x30\x03\x02\x01\x00")
    assert errors() == 0


def test_threads_share_a_certificate() -> None:
    found, signature = certificate(RSA_KEY), RSA_KEY.sign(DOCUMENT, padding.PKCS1v15(), SHA256)
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: found.accepts(signature, DIGEST, Algorithm.RS256), range(200)))
