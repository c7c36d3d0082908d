"""What can be chosen of each format. Light to import: the formats' libraries come with the formats.

Each has the ``format``'s name, and the ``media_type`` of what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

Rectangle = tuple[float, float, float, float]


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
class Visible:
    """Where a visible signature stands, and what it shows beside the name, number and time of who signs.

    ``page`` counts from 1, or from -1 backwards; ``rectangle`` is left, bottom, right, top in points from the page's
    origin, before any rotation; ``picture`` is a PNG or JPEG file, 1 MiB and 2000 × 2000 pixels at most; ``language``
    is that of its words.
    """

    rectangle: Rectangle
    page: int = -1
    picture: bytes | None = None
    language: str = "fr"


@dataclass(frozen=True, slots=True)
class PadesOptions:
    """What the signature says of itself; ``field`` is the name of the new form field, found where it is not given."""

    format: ClassVar[str] = "pades"
    media_type: ClassVar[str] = "application/pdf"

    reason: str | None = None
    location: str | None = None
    field: str | None = None
    visible: Visible | None = None


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
