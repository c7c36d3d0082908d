"""The commands of a CPS4 that differ from a CPS3's. Source: the card facts, section "CPS4"."""

from __future__ import annotations

from cardd.apdu import LE_MAX, Command
from cardd.model import Algorithm
from cardd_drivers.cps3.commands import DIGEST_INFO_SHA256, Operation

SIGNATURES = {Algorithm.RS256: 0x28, Algorithm.PS256: 0x2C}
LOCAL = 0x80  # a key of the current application, in a signature's environment


def sign_digest(key: int, algorithm: Algorithm, digest: bytes) -> Operation:
    """Sign a SHA-256 digest; the card itself adds the padding of the algorithm."""
    environment = Command(0x00, 0x22, 0x81, 0xB6, bytes((0x91, 0x02, SIGNATURES[algorithm], key | LOCAL)))
    return Operation((environment,), Command(0x00, 0x2A, 0x9E, 0x9A, digest, le=LE_MAX), lasting=True)


def authenticate(key: int, digest: bytes, size: int) -> Operation:
    """A PKCS#1 v1.5 signature of a SHA-256 digest by the raw RSA of PSO DECIPHER: the padding is made here.

    ``size`` is that of the modulus, in bytes: the block is longer than one short APDU, and goes out chained.
    """
    environment = Command(0x00, 0x22, 0x41, 0xB8, bytes((0x83, 0x01, key)))
    return Operation((environment,), Command(0x00, 0x2A, 0x80, 0x86, _padded(digest, size), le=LE_MAX), lasting=True)


def _padded(digest: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, section 9.2)."""
    content = DIGEST_INFO_SHA256 + digest
    return b"\x00\x01" + b"\xff" * (size - 3 - len(content)) + b"\x00" + content
