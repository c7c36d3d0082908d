"""The security environment of a simulated CPS4, and what its keys do: padded signatures, and raw RSA.

Source: the card facts, section "CPS4". That a PSS salt is as long as the digest was chosen.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from cardd.apdu import SW
from cardd_simulators.cards.answers import Refused
from cardd_simulators.cards.environment import CONFIDENTIALITY, RAW, SIGNATURE, Environment, fields_in

PKCS1_SHA1, PSS_SHA1, PKCS1_SHA256, PSS_SHA256 = 0x0A, 0x15, 0x28, 0x2C
LOCAL = 0x80

_SHA1, _SHA256 = hashes.SHA1(), hashes.SHA256()  # noqa: S303 - what the card offers, not what cardd asks for
SIGNATURES: dict[int, tuple[AsymmetricPadding, hashes.HashAlgorithm]] = {
    PKCS1_SHA1: (PKCS1v15(), _SHA1),
    PSS_SHA1: (PSS(MGF1(_SHA1), salt_length=_SHA1.digest_size), _SHA1),
    PKCS1_SHA256: (PKCS1v15(), _SHA256),
    PSS_SHA256: (PSS(MGF1(_SHA256), salt_length=_SHA256.digest_size), _SHA256),
}


class ChipDocEnvironment(Environment):
    """Knows a signature's algorithm and key under tag 91, and a key to decipher with under tag 83."""

    def set(self, template: int, content: bytes) -> None:
        """MANAGE SECURITY ENVIRONMENT, SET. Raises Refused: 6A80 for an algorithm, 6A88 for a key."""
        fields = {field.tag: field.value for field in fields_in(content)}
        if template == CONFIDENTIALITY and len(key := fields.get(0x83, b"")) == 1:
            self._choose(template, RAW, key[0])
        elif template == SIGNATURE and len(chosen := fields.get(0x91, b"")) == 2:
            algorithm, reference = chosen
            if algorithm not in SIGNATURES or not reference & LOCAL:
                raise Refused(SW.BAD_DATA)
            self._choose(template, algorithm, reference & ~LOCAL)
        else:
            raise Refused(SW.BAD_DATA)

    def sign(self, digest: bytes) -> bytes:
        """PSO COMPUTE DIGITAL SIGNATURE over a digest that was computed off the card."""
        setting = self._setting(SIGNATURE)
        padding, algorithm = SIGNATURES[setting.algorithm]
        if len(digest) != algorithm.digest_size:
            raise Refused(SW.BAD_DATA)
        return self._key(SIGNATURE, setting.key).private.sign(digest, padding, Prehashed(algorithm))

    def decipher(self, content: bytes) -> bytes:
        """PSO DECIPHER: the RSA operation on a whole block, whatever its padding."""
        key = self._key(CONFIDENTIALITY, self._setting(CONFIDENTIALITY).key).private
        if len(content) != key.key_size // 8:
            raise Refused(SW.BAD_DATA)
        return _raw(key, content)


def _raw(key: RSAPrivateKey, block: bytes) -> bytes:
    """The RSA operation itself, by the Chinese remainder theorem. Raises Refused (6A80) for a block out of range."""
    numbers = key.private_numbers()
    number = int.from_bytes(block, "big")
    if number >= numbers.public_numbers.n:
        raise Refused(SW.BAD_DATA)
    first, second = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
    value = second + (first - second) * numbers.iqmp % numbers.p * numbers.q
    return value.to_bytes(key.key_size // 8, "big")
