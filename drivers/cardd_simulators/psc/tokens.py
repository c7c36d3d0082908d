"""What the sandbox signs: ID tokens, RS256, and the key that verifies them."""

from __future__ import annotations

import base64
import hashlib
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from cardd_simulators.psc.logins import ACCESS_LIFE, Session
from cardd_simulators.psc.people import Userinfo

REQUEST_CLAIM = "urn:openid:params:jwt:claim:auth_req_id"
LEVEL = "eidas1"


class IdTokens:
    """Makes them for one issuer and one service."""

    def __init__(self, key: rsa.RSAPrivateKey, issuer: str, audience: str) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        numbers = key.public_key().public_numbers()
        self._public = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        canonical = '{{"e":"{e}","kty":"RSA","n":"{n}"}}'.format(**self._public)
        self._name = _text(hashlib.sha256(canonical.encode()).digest())  # RFC 7638

    def published(self) -> dict[str, object]:
        """The JWK set."""
        return {"keys": [{**self._public, "kid": self._name, "use": "sig", "alg": "RS256"}]}

    def make(self, session: Session, *, nonce: str | None = None, request: str | None = None) -> str:
        """For a login in the browser (``nonce``), by mobile (``request``), or neither when it was renewed."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": session.person["sub"],
            "sid": session.sid,
            "iat": now,
            "exp": now + ACCESS_LIFE,
            "acr": LEVEL,
            "nonce": nonce,
            REQUEST_CLAIM: request,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, self._key, "RS256", headers={"kid": self._name})

    def userinfo(self, person: Userinfo) -> str:
        """Somebody's userinfo as a signed JWT."""
        claims = {"iss": self._issuer, "aud": self._audience, **person}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._name})

    def read(self, token: str) -> str:
        """The ``sid`` of one of ours, however old; empty for any other."""
        try:
            claims = jwt.decode(
                token, self._key.public_key(), ["RS256"], audience=self._audience, options={"verify_exp": False}
            )
        except jwt.InvalidTokenError:
            return ""
        return str(claims.get("sid", ""))


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
