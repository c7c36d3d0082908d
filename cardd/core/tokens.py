"""Random identifiers and bearer tokens; a token leaves the daemon once and is kept only as its hash (rule 9)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cardd.secret import overwrite

TOKEN_BYTES = 32


def new_token() -> str:
    """A bearer token of 256 random bits, URL-safe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_id() -> str:
    """An identifier: unguessable enough to be a path, yet no proof of anything."""
    return secrets.token_hex(8)


def proof(kept: str, challenge: str, address: str) -> str:
    """What shows a paired program that it talks to the daemon it was paired with, at this very address (HMAC, hex).

    The key is what both know and nobody else does: the secret's fingerprint. The address keeps a program that took
    our port from passing the question on to us and our answer back.
    """
    message = "\0".join(("cardd proof", challenge, address)).encode()
    return hmac.new(bytes.fromhex(kept), message, hashlib.sha256).hexdigest()


def seal(token: str) -> bytes:
    """Return a key for what is kept for whoever knows the token; its fingerprint does not lead there (HMAC)."""
    return hmac.new(token.encode(), b"cardd seal 1", hashlib.sha256).digest()


def fingerprint(token: str) -> str:
    """What is kept of a token (SHA-256, hex). Tokens are random, so no salt or stretching is needed."""
    raw = token.encode(errors="surrogateescape")  # a header may have any bytes: they are nobody's token
    try:
        return hashlib.sha256(raw).hexdigest()
    finally:
        overwrite(raw)
