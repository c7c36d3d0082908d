"""A document between the two steps of a signature: what the key signs, and what comes of the value."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from cardd.model import Algorithm, Message
from cardd.values import Value


class Signer(Value):
    """Whose key will sign: its certificate, those above it as far as they are known (DER), and how it signs."""

    certificate: bytes
    chain: tuple[bytes, ...]
    algorithm: Algorithm


class Prepared(Protocol):
    """A document that is ready but for the signature value.

    A value is what the key gives: PKCS#1 for RSA, the two numbers side by side for ECDSA (RFC 7518, section 3.4).
    """

    @property
    def message(self) -> Message:
        """What the key signs; ``content`` is there where it is small."""
        ...

    def stamped(self, value: bytes) -> bytes:
        """Return what a timestamp of this signature covers: its SHA-256 goes to the timestamp authority (RFC 3161)."""
        ...

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The signed document, from its beginning; ``timestamp`` is the authority's TimeStampToken, DER. Once only."""
        ...
