"""How the service proves itself to the provider: by a secret, by a signed assertion, or by its TLS certificate.

RFC 6749 2.3.1 (client_secret_basic, client_secret_post), RFC 7523 and OpenID Connect Core 9 (private_key_jwt), RFC 8705
(tls_client_auth, access tokens bound to the certificate).
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus

from cardd.oidc.token import Token

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = 60


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one request carries: form fields and headers. Never shown."""

    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class ClientAuthentication(Protocol):
    """One way to prove oneself; ``mtls`` tells that requests go to the endpoints for client certificates."""

    @property
    def mtls(self) -> bool:
        """Whether the certificate of the TLS connection is the proof, or binds the tokens."""
        ...

    async def credentials(self, issuer: str, now: float) -> Credentials:
        """What to add to a request to this issuer at this time (seconds since 1970)."""
        ...

    async def elsewhere(self, address: str, now: float) -> Credentials:
        """What to add to a request to another server than the issuer's: nothing that would be good at the issuer."""
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
        """The signature as JWS wants it (for ES256, R and S of 32 bytes each)."""
        ...


@dataclass(frozen=True, slots=True)
class SecretBasic:
    """The id and secret in an Authorization header. ``mtls`` for tokens bound to a certificate beside it."""

    client_id: str
    secret: Token
    mtls: bool = False

    async def credentials(self, issuer: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """Both are form-encoded before they are joined (RFC 6749, 2.3.1)."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret.reveal())}"
        return Credentials(headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})

    async def elsewhere(self, address: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """The secret is the issuer's alone."""
        return Credentials(form={"client_id": self.client_id})


@dataclass(frozen=True, slots=True)
class SecretPost:
    """The id and secret as fields of the form."""

    client_id: str
    secret: Token
    mtls: bool = False

    async def credentials(self, issuer: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """The two fields."""
        return Credentials(form={"client_id": self.client_id, "client_secret": self.secret.reveal()})

    async def elsewhere(self, address: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """The secret is the issuer's alone."""
        return Credentials(form={"client_id": self.client_id})


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """An assertion signed for each request, good for one minute and for one use."""

    client_id: str
    signer: AssertionSigner
    mtls: bool = False

    async def credentials(self, issuer: str, now: float) -> Credentials:
        """The issuer is the audience: CIBA Core 7.1 and RFC 7523 make every provider accept it."""
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
        """An assertion for that server, which the issuer would refuse."""
        return await self.credentials(address, now)


@dataclass(frozen=True, slots=True)
class TlsClientAuth:
    """The certificate of the TLS connection; the context that ``HttpClient`` was given shows it."""

    client_id: str
    mtls: bool = True

    async def credentials(self, issuer: str, now: float) -> Credentials:  # noqa: ARG002 - the protocol's
        """Only the id: the certificate says the rest."""
        return Credentials(form={"client_id": self.client_id})

    async def elsewhere(self, address: str, now: float) -> Credentials:
        """The same: a certificate is shown to anyone."""
        return await self.credentials(address, now)


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
