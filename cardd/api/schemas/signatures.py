"""What is to be signed, in which format, and the signatures; documents that are handed over apart."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from cardd.api.schemas import Answer, Body, Identifier, Name


class JwsBody(Body):
    """Choices for a JWS: how it is written, and the header's ``typ`` and ``cty``."""

    serialization: Literal["compact", "json"] = "compact"
    typ: Name | None = None
    cty: Name | None = None


class VisibleBody(Body):
    """A visible signature: ``rectangle`` is left, bottom, right, top in points, ``page`` from 1, or from -1 backwards.

    The signer's name, profession, number, the time and the picture are shown; no request can change the first four.
    """

    rectangle: tuple[float, float, float, float]
    page: Annotated[int, Meta(ge=-10_000, le=10_000)] = -1
    picture: bytes | None = None
    language: Literal["fr", "en"] = "fr"


class PadesBody(Body):
    """Choices for a signature in a PDF; ``field`` is the new form field's name."""

    reason: Name | None = None
    location: Name | None = None
    field: Name | None = None
    visible: VisibleBody | None = None


class XadesBody(Body):
    """Choices for a XAdES signature; ``uri`` is where a detached document is to be found."""

    packaging: Literal["enveloped", "enveloping", "detached"] = "enveloped"
    uri: Name | None = None
    certificate: Literal["SigningCertificateV2", "SigningCertificate"] = "SigningCertificateV2"


class SetDocumentBody(Body):
    """A document of a submission set by its ``uniqueId``: its octets, or one that was handed over before.

    ``is_xml``: its canonical form is signed, as for a CDA. ``digest``: the SHA-256 that the octets must have.
    """

    unique_id: Name
    document: bytes | None = None
    document_id: Identifier | None = None
    is_xml: bool = False
    digest: bytes | None = None


class SubmissionSetBody(Body):
    """A DMP submission set; ``certificates`` says whether the signature lists the authorities beside the signer."""

    unique_id: Name
    documents: Annotated[list[SetDocumentBody], Meta(min_length=1, max_length=255)]
    certificates: Literal["chain", "signer"] = "chain"


class SignatureItem(Body):
    """One signature of a ``submission_set``, or of one of ``document``, ``document_id`` and ``digest``.

    ``document_id`` was handed over before, ``digest`` is a SHA-256. ``algorithm`` is a JOSE name; without it, the key's
    best is taken. An ES256 value is the two numbers of 32 bytes (RFC 7518, section 3.4). ``detached`` leaves the
    document beside the signature, ``timestamp`` wants one of RFC 3161 with it.
    """

    document_name: Name
    format: Literal["raw", "jws", "cades", "xades", "pades", "submission_set"] = "raw"
    algorithm: Literal["RS256", "PS256", "ES256"] | None = None
    digest: bytes | None = None
    document: bytes | None = None
    document_id: Identifier | None = None
    patient: Name | None = None
    detached: bool = False
    timestamp: bool = False
    mime_type: Name | None = None
    jws: JwsBody | None = None
    xades: XadesBody | None = None
    pades: PadesBody | None = None
    submission_set: SubmissionSetBody | None = None


class BatchBody(Body):
    """A named batch over several requests: one consent for ``count`` signatures."""

    name: Name
    count: Annotated[int, Meta(ge=1, le=100_000)]


class SignatureBody(SignatureItem):
    """POST …/signatures for one signature."""

    batch: BatchBody | None = None


class SignaturesBody(Body):
    """POST …/signatures for a list: one consent, all or nothing."""

    signatures: Annotated[list[SignatureItem], Meta(min_length=1, max_length=1000)]
    batch: BatchBody | None = None


class SignatureAnswer(Answer):
    """One signature, with the certificate that verifies it and the chain above as far as it is known.

    A raw one is ``signature``; any other is in ``document``, or, where a document was handed over before, held as
    ``document_id``.
    """

    format: str
    algorithm: str
    certificate: bytes
    chain: list[bytes]
    media_type: str
    signature: bytes | UnsetType = UNSET
    document: bytes | UnsetType = UNSET
    document_id: str | UnsetType = UNSET


class DocumentAnswer(Answer):
    """A document that the session holds until ``expires_at``; ``size`` in bytes, ``sha256`` of the whole."""

    id: str
    size: int
    sha256: bytes
    media_type: str
    expires_at: datetime


class SignaturesAnswer(Answer):
    """The signatures of a list, in its order."""

    signatures: list[SignatureAnswer]
