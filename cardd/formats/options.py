"""What can be chosen of each format. Light to import: the formats' libraries come with the formats.

Each has the ``format``'s name, and the ``media_type`` of what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Serialization(StrEnum):
    """How a JWS is written; JSON is the flattened form (RFC 7515, section 7.2.2)."""

    COMPACT = "compact"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class RawOptions:
    """The bare value."""

    format: ClassVar[str] = "raw"
    media_type: ClassVar[str] = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class JwsOptions:
    """``typ`` and ``cty`` go into the header as they are; ``stamped`` says that a timestamp will come."""

    format: ClassVar[str] = "jws"

    serialization: Serialization = Serialization.COMPACT
    detached: bool = False
    stamped: bool = False
    typ: str | None = None
    cty: str | None = None

    @property
    def media_type(self) -> str:
        """RFC 7515, section 9.2."""
        return "application/jose" if self.serialization is Serialization.COMPACT else "application/jose+json"


@dataclass(frozen=True, slots=True)
class CadesOptions:
    """``detached`` leaves the document beside the signature; ``mime_type`` is what the document is said to be."""

    format: ClassVar[str] = "cades"

    detached: bool = False
    mime_type: str | None = None

    @property
    def media_type(self) -> str:
        """RFC 8551, section 3.2."""
        return "application/pkcs7-signature" if self.detached else "application/pkcs7-mime"
