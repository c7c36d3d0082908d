"""Random identifiers and bearer tokens; a token leaves the daemon once and is kept only as its hash (rule 9)."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """A bearer token of 256 random bits, URL-safe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_id() -> str:
    """An identifier: unguessable enough to be a path, yet no proof of anything."""
    return secrets.token_hex(8)


def fingerprint(token: str) -> str:
    """What is kept of a token (SHA-256, hex). Tokens are random, so no salt or stretching is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
