"""Checking a card's signature with its own certificate before anybody else sees it.

This module brings cryptography's with it (70 ms): import it when a signature is at hand, not before.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import InvalidVersion, load_der_x509_certificate

from cardd.errors import CardGarbled
from cardd.model import Algorithm
from cardd.tlv import in_order

PADDINGS: dict[Algorithm, AsymmetricPadding] = {
    Algorithm.RS256: PKCS1v15(),
    Algorithm.PS256: PSS(MGF1(SHA256()), salt_length=SHA256.digest_size),  # RFC 7518, section 3.5
}


class Verifier:
    """The public key of one certificate. Raises CardGarbled when there is no RSA key in it."""

    def __init__(self, certificate: bytes) -> None:
        try:
            key = load_der_x509_certificate(in_order(certificate)).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion) as fault:
            raise CardGarbled(what="a certificate that is none") from fault
        if not isinstance(key, RSAPublicKey):
            raise CardGarbled(what="a certificate without an RSA key")
        self._key = key

    def accepts(self, signature: bytes, digest: bytes, algorithm: Algorithm) -> bool:
        """Return whether this is a signature of the SHA-256 digest by this algorithm."""
        try:
            self._key.verify(signature, digest, PADDINGS[algorithm], Prehashed(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True
