"""Keys by which web pages prove themselves: what one is, and whether a proof is by it and for this very request.

A page makes a P-256 key in its browser (WebCrypto, not extractable) and keeps it there. A proof is a compact JWS
(RFC 7515, ES256) over a challenge, with the page's own origin and the address that the page speaks to: a proof for
another site, or one that a program on another port asked for, is worth nothing here.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cardd.errors import PageProofInvalid
from cardd.values import Value

COORDINATE = 32  # bytes
PROOF_MAX = 2048  # characters
PROOF_TYPE = "cardd-page+jwt"
HEADER = {"alg": "ES256", "typ": PROOF_TYPE}


class PageKey(Value):
    """A public key: the two coordinates of a point on P-256, big-endian."""

    x: bytes
    y: bytes

    @property
    def thumbprint(self) -> str:
        """Return the name of the key (RFC 7638)."""
        members = {"crv": "P-256", "kty": "EC", "x": _encoded(self.x), "y": _encoded(self.y)}
        return _encoded(sha256(json.dumps(members, separators=(",", ":")).encode()).digest())

    def check(self, proof: str, *, origin: str, address: str, challenge: str) -> None:
        """Raises PageProofInvalid unless this key signed exactly these three."""
        head, claims, signature = _parts(proof)
        if _object(head) != HEADER:
            raise PageProofInvalid(reason="form")
        expected = {"iss": origin, "aud": address, "nonce": challenge}
        told = _object(claims)
        if told.keys() != expected.keys():
            raise PageProofInvalid(reason="form")
        for claim, reason in (("iss", "origin"), ("aud", "address"), ("nonce", "challenge")):
            if told[claim] != expected[claim]:
                raise PageProofInvalid(reason=reason)
        self._check_signature(f"{head}.{claims}".encode(), signature)

    def _check_signature(self, signed: bytes, signature: bytes) -> None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - with the first page
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        point = ec.EllipticCurvePublicNumbers(int.from_bytes(self.x), int.from_bytes(self.y), ec.SECP256R1())
        value = utils.encode_dss_signature(
            int.from_bytes(signature[:COORDINATE]), int.from_bytes(signature[COORDINATE:])
        )
        try:
            point.public_key().verify(value, signed, ec.ECDSA(SHA256()))
        except ValueError:
            raise PageProofInvalid(reason="key") from None
        except InvalidSignature:
            raise PageProofInvalid(reason="signature") from None


def page_key(x: str, y: str) -> PageKey:
    """Return the key of a JWK's coordinates. Raises PageProofInvalid."""
    key = PageKey(_decoded(x), _decoded(y))
    if len(key.x) != COORDINATE or len(key.y) != COORDINATE:
        raise PageProofInvalid(reason="key")
    return key


def challenge_of(proof: str) -> str:
    """Return the challenge that a proof, not checked yet, says that it answers. Raises PageProofInvalid."""
    nonce = _object(_parts(proof)[1]).get("nonce")
    if not isinstance(nonce, str) or not nonce.isascii():
        raise PageProofInvalid(reason="form")
    return nonce


def _parts(proof: str) -> tuple[str, str, bytes]:
    parts = proof.split(".")
    if len(proof) > PROOF_MAX or len(parts) != 3:
        raise PageProofInvalid(reason="form")
    signature = _decoded(parts[2])
    if len(signature) != 2 * COORDINATE:
        raise PageProofInvalid(reason="form")
    return parts[0], parts[1], signature


def _object(part: str) -> dict[str, object]:
    try:
        found = json.loads(_decoded(part).decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise PageProofInvalid(reason="form") from None
    if not isinstance(found, dict):
        raise PageProofInvalid(reason="form")
    return found


def _once(members: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of an object. Raises ValueError where one stands there twice."""
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member twice")
    return found


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Return the bytes of base64url without padding, of which there is one form only. Raises PageProofInvalid."""
    try:
        value = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise PageProofInvalid(reason="form") from None
    if _encoded(value) != text:
        raise PageProofInvalid(reason="form")
    return value
