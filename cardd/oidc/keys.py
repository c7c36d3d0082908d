"""The service's own private key where it is a file's: PEM, or the PKCS#12 that ANS gives an organisation.

A key in a PKCS#11 token signs through another ``AssertionSigner``, and reaches TLS through ``HttpClient``'s connectors.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import Certificate, load_pem_x509_certificates

from cardd.errors import PscClientRefused

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
COORDINATE = 32


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A private key and the chain of its certificate, the own one first; the chain may be empty for assertions."""

    key: PrivateKey
    chain: tuple[Certificate, ...] = ()

    @classmethod
    def from_pem(cls, key: bytes, chain: bytes = b"") -> ClientKey:
        """Raises PscClientRefused when this is no RSA or EC key, or no certificate."""
        try:
            return cls(
                _suitable(load_pem_private_key(key, None)), tuple(load_pem_x509_certificates(chain)) if chain else ()
            )
        except (ValueError, TypeError):
            raise PscClientRefused from None

    @classmethod
    def from_pkcs12(cls, raw: bytes, password: bytes | None) -> ClientKey:
        """Raises PscClientRefused for a wrong password, or a file without key and certificate."""
        try:
            key, own, others = pkcs12.load_key_and_certificates(raw, password)
            if own is None:
                raise PscClientRefused
            return cls(_suitable(key), (own, *others))
        except (ValueError, TypeError):
            raise PscClientRefused from None

    @property
    def thumbprint(self) -> str:
        """The certificate's ``x5t#S256`` (RFC 7515, 4.1.8): what access tokens are bound to."""
        return thumbprint_of(self.chain[0].public_bytes(Encoding.DER))

    def show_in(self, context: ssl.SSLContext) -> None:
        """Let connections of this context show the certificate. The key touches no disk."""
        handle = os.memfd_create("client")
        try:
            pem = [self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
            os.write(handle, b"".join(pem + [certificate.public_bytes(Encoding.PEM) for certificate in self.chain]))
            context.load_cert_chain(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class FileSigner:
    """Signs assertions with a key in memory (``AssertionSigner``); RS256 or ES256 by the key's kind."""

    client: ClientKey
    header: Mapping[str, str]
    pss: bool = False

    @property
    def algorithm(self) -> str:
        """ES256 for an EC key, PS256 or RS256 for an RSA one."""
        if isinstance(self.client.key, ec.EllipticCurvePrivateKey):
            return "ES256"
        return "PS256" if self.pss else "RS256"

    async def sign(self, message: bytes) -> bytes:
        """The signature in JWS form (RFC 7518, 3.3 to 3.5)."""
        key = self.client.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            pair = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
            return b"".join(part.to_bytes(COORDINATE, "big") for part in pair)
        if self.pss:
            return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def thumbprint_of(der: bytes) -> str:
    """``x5t#S256`` of a certificate."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def _suitable(key: object) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise PscClientRefused
