"""Comparing what somebody shows with what it must be, in a time that tells nothing."""

from __future__ import annotations

import hmac


def same(shown: str, expected: str) -> bool:
    """Whether they are the same, whatever letters were sent."""
    return hmac.compare_digest(shown.encode(errors="surrogatepass"), expected.encode())
