"""What is to be verified, and the verdict on it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from cardd.api.schemas import Answer, Body, Name, Verdict
from cardd.api.schemas.sessions import HolderAnswer


class OfSetBody(Body):
    """A document of a submission set by its ``uniqueId``."""

    unique_id: Name
    document: bytes


class VerificationBody(Body):
    """POST /v1/verifications: a signed document, and ``content``, what it signs, where that is not inside.

    For a raw signature ``signature`` is the value, ``certificate`` the signer's (PEM or DER; PEM may go on with those
    above it), and ``document`` what was signed. For a DMP submission set ``document`` is its signature, ``documents``
    are all that it has.
    """

    document: bytes
    content: bytes | None = None
    signature: bytes | None = None
    certificate: bytes | None = None
    documents: Annotated[list[OfSetBody], Meta(min_length=1, max_length=255)] | None = None


class ReasonAnswer(Answer):
    """Why a verdict is what it is; ``verdict`` is what this reason alone makes of it, valid where it only informs."""

    code: str
    verdict: Verdict
    text: str


class SignerAnswer(Answer):
    """The certificate (DER) that signed; ``serial`` in hex."""

    certificate: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    is_test: bool
    holder: HolderAnswer | UnsetType = UNSET


class ChainAnswer(Answer):
    """Whether the certificate has a path to a trusted ``authority``; ``problem``: why not."""

    trusted: bool
    authority: str | UnsetType = UNSET
    problem: Literal["authority", "expired", "early", "refused"] | UnsetType = UNSET


class RevocationAnswer(Answer):
    """What is known of the revocation of ``subject``, the certificate of the path that stands worst.

    ``as_of`` is when the authority said so. ``why`` says why the status is unknown.
    """

    subject: str
    status: Literal["good", "revoked", "unknown"]
    source: Literal["ocsp", "crl"] | UnsetType = UNSET
    as_of: datetime | UnsetType = UNSET
    revoked_at: datetime | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    why: Literal["no_source", "offline", "unreachable", "stale", "partial", "garbled", "expired"] | UnsetType = UNSET


class TimestampAnswer(Answer):
    """A timestamp of the signature; only a ``trusted`` one counts."""

    time: datetime
    intact: bool
    trusted: bool
    authority: str
    chain: ChainAnswer
    revocation: RevocationAnswer | UnsetType = UNSET


class SignedSetAnswer(Answer):
    """A submission set by its ``uniqueId``; ``changed`` are those of its ``documents`` that were altered."""

    unique_id: str
    documents: list[str]
    changed: list[str]


class VerifiedAnswer(Answer):
    """One signature of a document.

    ``digest`` is the SHA-256 of what was signed, as it is here; of a submission set, its manifest's. ``scope`` says
    whether that is all of the document. ``signed_at`` is the signer's claim; ``judged_at`` the time that the
    certificate was judged for.
    """

    format: Literal["raw", "jws", "cades", "xades", "pades"]
    verdict: Verdict
    reasons: list[ReasonAnswer]
    intact: bool
    scope: Literal["whole", "part", "detached"]
    algorithm: str
    digest: bytes
    judged_at: datetime
    judged_by: Literal["timestamp", "clock"]
    signer: SignerAnswer
    chain: ChainAnswer
    flaw: Literal["content", "signature", "certificate", "imprint", "attributes", "context", "weak"] | UnsetType = UNSET
    signed_at: datetime | UnsetType = UNSET
    revocation: RevocationAnswer | UnsetType = UNSET
    timestamp: TimestampAnswer | UnsetType = UNSET
    submission_set: SignedSetAnswer | UnsetType = UNSET


class VerificationAnswer(Answer):
    """The verdict on a document: that of the worst of its signatures, and reasons of the document itself."""

    verdict: Verdict
    sentence: str
    reasons: list[ReasonAnswer]
    signatures: list[VerifiedAnswer]
