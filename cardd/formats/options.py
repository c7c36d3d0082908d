"""What can be chosen of each format. Light to import: the formats' libraries come with the formats.

Each has the ``format``'s name, and the ``media_type`` of what comes of it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import BinaryIO, ClassVar

from cardd.values import Value

Rectangle = tuple[float, float, float, float]


class Serialization(StrEnum):
    """How a JWS is written; JSON is the flattened form (RFC 7515, section 7.2.2)."""

    COMPACT = "compact"
    JSON = "json"


class RawOptions(Value):
    """The bare value."""

    format: ClassVar[str] = "raw"
    media_type: ClassVar[str] = "application/octet-stream"


class JwsOptions(Value):
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


class Visible(Value):
    """Where a visible signature stands, and what it shows beside the name, number and time of who signs.

    ``page`` counts from 1, or from -1 backwards; ``rectangle`` is left, bottom, right, top in points from the page's
    origin, before any rotation; ``picture`` is a PNG or JPEG file, 1 MiB and 2000 × 2000 pixels at most; ``language``
    is that of its words.
    """

    rectangle: Rectangle
    page: int = -1
    picture: bytes | None = None
    language: str = "fr"


class PadesOptions(Value):
    """What the signature says of itself; ``field`` is the name of the new form field, found where it is not given."""

    format: ClassVar[str] = "pades"
    media_type: ClassVar[str] = "application/pdf"

    reason: str | None = None
    location: str | None = None
    field: str | None = None
    visible: Visible | None = None


class CadesOptions(Value):
    """``detached`` leaves the document beside the signature; ``mime_type`` is what the document is said to be."""

    format: ClassVar[str] = "cades"

    detached: bool = False
    mime_type: str | None = None

    @property
    def media_type(self) -> str:
        """RFC 8551, section 3.2."""
        return "application/pkcs7-signature" if self.detached else "application/pkcs7-mime"


class Packaging(StrEnum):
    """Where the document of a XAdES signature is: around it (XML only), inside it, or apart."""

    ENVELOPED = "enveloped"
    ENVELOPING = "enveloping"
    DETACHED = "detached"


class CertificateProperty(StrEnum):
    """How the certificate is named: V2 as the baseline has it, V1 for readers of XAdES before 2016."""

    V2 = "SigningCertificateV2"
    V1 = "SigningCertificate"


class XadesOptions(Value):
    """``mime_type`` is told as the document's; ``uri`` is where a detached document is to be found, if that is said."""

    format: ClassVar[str] = "xades"
    media_type: ClassVar[str] = "application/xml"

    packaging: Packaging = Packaging.ENVELOPED
    mime_type: str | None = None
    uri: str | None = None
    certificate: CertificateProperty = CertificateProperty.V2


class SetDocument(Value):
    """A document of a set: its XDS ``uniqueId`` (an OID), and its octets, None when they are not at hand.

    ``is_xml``: its canonical form is signed (CDA), so that it may be written another way on the road; ``digest`` is
    the SHA-256 of the octets that the caller means, where it says so.
    """

    unique_id: str
    content: BinaryIO | None
    is_xml: bool = False
    digest: bytes | None = None


class SubmissionSetOptions(Value):
    """A DMP submission set by its ``uniqueId``, and its documents.

    ``has_chain``: the sources disagree on whether SigningCertificate lists the authorities too.
    """

    format: ClassVar[str] = "submission_set"
    media_type: ClassVar[str] = "application/xml"

    unique_id: str
    documents: tuple[SetDocument, ...]
    has_chain: bool = True
