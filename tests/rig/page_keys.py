"""A page's key as its browser keeps it, and what the daemon keeps of the person's consent to it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from cardd.core.page_keys import PROOF_TYPE, page_key
from cardd.model import Right

HEAD = {"alg": "ES256", "typ": PROOF_TYPE}
SINCE, UNTIL = "2026-11-01T08:00:00+00:00", "2126-11-01T08:00:00+00:00"


def encoded(value: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


class BrowserKey:
    """One browser profile's key for one origin."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        self.jwk: dict[str, object] = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "ext": True, "key_ops": ["verify"]}
        self.id = page_key(x, y).thumbprint

    def proof(self, challenge: str, origin: str, address: str) -> str:
        """A proof for this origin at this address."""
        return self.signed({"iss": origin, "aud": address, "nonce": challenge})

    def signed(self, claims: Mapping[str, object] | bytes, head: Mapping[str, object] | bytes = HEAD) -> str:
        """Any claims, signed by this key; bytes stand as they are."""
        both = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, claims))
        parts = ".".join(map(encoded, both))
        r, s = decode_dss_signature(self._key.sign(parts.encode(), ec.ECDSA(SHA256())))
        return f"{parts}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"


def consents(key: BrowserKey, origins: Iterable[str], uids: Iterable[int]) -> str:
    """The daemon's file after these users let the key in for these origins."""
    kept = {"id": key.id, "rights": list(Right), "since": SINCE, "until": UNTIL, "used": "2126-11-01"}
    known = [{"origin": origin, "uid": uid, "allowed_at": SINCE, "keys": [kept]} for origin in origins for uid in uids]
    return json.dumps({"format": 2, "programs": [], "origins": known})
