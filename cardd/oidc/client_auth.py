"""How the service proves itself to the provider: by a secret, by a signed assertion, or by its TLS certificate.

A private key is a file's here (the PKCS#12 that ANS gives an organisation). A key in a PKCS#11 token signs through
another ``AssertionSigner``, and reaches TLS through ``HttpClient``'s connectors.

RFC 6749 2.3.1 (client_secret_basic, client_secret_post), RFC 7523 and OpenID Connect Core 9 (private_key_jwt), RFC 8705
(tls_client_auth, access tokens bound to the certificate).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import ssl
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509 import Certificate

from cardd.errors import PscClientRefused
from cardd.oidc.tokens import Token
from cardd.secret import overwrite
from cardd.values import Value, field

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = 60
COORDINATE = 32  # bytes

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Credentials(Value):
    """What one request carries: form fields and headers. Never shown."""

    HIDDEN = frozenset({"form", "headers"})

    form: Mapping[str, str | Token] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class ClientAuthentication(Protocol):
    """One way to prove oneself; ``mtls`` tells that requests go to the endpoints for client certificates."""

    @property
    def mtls(self) -> bool:
        """Whether the certificate of the TLS connection is the proof, or binds the tokens."""
        ...

    @property
    def secret_of(self) -> str | None:
        """The client id, where a secret is the proof; None elsewhere."""
        ...

    async def credentials(self, issuer: str, now: float) -> Credentials:
        """Return what to add to a request to this issuer at this time (seconds since 1970)."""
        ...

    async def elsewhere(self, address: str, now: float) -> Credentials:
        """Return what to add to a request to another server: nothing that would be good at the issuer."""
        ...


class AssertionSigner(Protocol):
    """A private key somewhere: a file, a PKCS#11 token. ``algorithm`` is a JOSE name (RS256, PS256, ES256)."""

    @property
    def algorithm(self) -> str:
        """The JOSE name of what ``sign`` makes."""
        ...

    @property
    def header(self) -> Mapping[str, str]:
        """What the provider finds the key by: ``kid``, or ``x5t#S256``."""
        ...

    async def sign(self, message: bytes) -> bytes:
        """Return the signature as JWS wants it (for ES256, R and S of 32 bytes each)."""
        ...


class _BySecret(Value):
    """The proof is a secret; ``mtls`` for tokens bound to a certificate beside it."""

    client_id: str
    secret: Token
    mtls: bool = False

    @property
    def secret_of(self) -> str:
        """The client id: its secret is the proof."""
        return self.client_id

    async def elsewhere(self, address: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """Return the id; the secret is the issuer's alone."""
        return Credentials(form={"client_id": self.client_id})


class SecretBasic(_BySecret):
    """The id and secret in an Authorization header."""

    async def credentials(self, issuer: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """Return id and secret, form-encoded before they are joined (RFC 6749, 2.3.1)."""
        with self.secret.lent() as secret:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(secret)}".encode()
        told = base64.b64encode(pair).decode()
        overwrite(pair)
        return Credentials(headers={"Authorization": f"Basic {told}"})


class SecretPost(_BySecret):
    """The id and secret as fields of the form."""

    async def credentials(self, issuer: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """Return the two fields."""
        return Credentials(form={"client_id": self.client_id, "client_secret": self.secret})


class PrivateKeyJwt(Value):
    """An assertion signed for each request, good for one minute and for one use."""

    client_id: str
    signer: AssertionSigner
    mtls: bool = False

    @property
    def secret_of(self) -> None:
        """None: no secret is."""
        return None

    async def credentials(self, issuer: str, now: float) -> Credentials:
        """Return an assertion; its audience is the issuer, as every provider accepts (CIBA Core 7.1, RFC 7523)."""
        header = {"alg": self.signer.algorithm, "typ": "JWT", **self.signer.header}
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": issuer,
            "jti": secrets.token_urlsafe(24),
            "iat": int(now),
            "exp": int(now) + ASSERTION_LIFETIME,
        }
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = _encoded(await self.signer.sign(signed))
        assertion = b".".join((signed, signature)).decode()
        return Credentials(
            form={
                "client_id": self.client_id,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            }
        )

    async def elsewhere(self, address: str, now: float) -> Credentials:
        """Return an assertion for that server, which the issuer would refuse."""
        return await self.credentials(address, now)


class TlsClientAuth(Value):
    """The certificate of the TLS connection; the context that ``HttpClient`` was given shows it."""

    client_id: str
    mtls: bool = True

    @property
    def secret_of(self) -> None:
        """None: no secret is."""
        return None

    async def credentials(self, issuer: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """Return only the id: the certificate says the rest."""
        return Credentials(form={"client_id": self.client_id})

    async def elsewhere(self, address: str, now: float) -> Credentials:
        """Return only the id: a certificate is shown to anyone."""
        return await self.credentials(address, now)


class ClientKey(Value):
    """A private key and the chain of its certificate, the own one first; the chain may be empty for assertions."""

    key: PrivateKey
    chain: tuple[Certificate, ...] = ()

    @classmethod
    def from_pkcs12(cls, raw: bytes, password: bytes | None) -> ClientKey:
        """Return what a file holds. Raises PscClientRefused for a wrong password, or without key and certificate."""
        if password and 0 in password:
            raise PscClientRefused  # the library panics
        try:
            key, own, others = pkcs12.load_key_and_certificates(raw, password)
            if own is None:
                raise PscClientRefused
            return cls(_suitable(key), (own, *others))
        except (ValueError, TypeError):
            raise PscClientRefused from None

    @property
    def certificate(self) -> bytes:
        """The own certificate, in DER."""
        return self.chain[0].public_bytes(Encoding.DER)

    @property
    def thumbprint(self) -> str:
        """The certificate's ``x5t#S256`` (RFC 7515, 4.1.8): what access tokens are bound to."""
        return thumbprint_of(self.certificate)

    def show_in(self, context: ssl.SSLContext) -> None:
        """Let connections of this context show the certificate. The key touches no disk."""
        handle = os.memfd_create("client")
        try:
            pem = [self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
            os.write(handle, b"".join(pem + [certificate.public_bytes(Encoding.PEM) for certificate in self.chain]))
            context.load_cert_chain(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)


class FileSigner(Value):
    """Signs assertions with a key in memory (``AssertionSigner``)."""

    client: ClientKey
    header: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """ES256 for an EC key, RS256 for an RSA one."""
        return "ES256" if isinstance(self.client.key, ec.EllipticCurvePrivateKey) else "RS256"

    async def sign(self, message: bytes) -> bytes:
        """Return the signature in JWS form (RFC 7518, 3.3 and 3.4)."""
        key = self.client.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            pair = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
            return b"".join(part.to_bytes(COORDINATE, "big") for part in pair)
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def thumbprint_of(der: bytes) -> str:
    """Return the ``x5t#S256`` of a certificate."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def _suitable(key: object) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise PscClientRefused


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
