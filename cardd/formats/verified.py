"""What a look at a signed document finds, whatever its format: who signed what, when, and whether it is whole.

Nothing here says that the signer is to be trusted: that the certificate has a path to a configured authority and was
not revoked is judged apart; what authorities say of that is here too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from cardd.formats.pdf.wire import Later
from cardd.values import Value


class Format(StrEnum):
    """The format of a signed document."""

    RAW = "raw"
    JWS = "jws"
    CADES = "cades"
    XADES = "xades"
    PADES = "pades"


class Scope(StrEnum):
    """What a signature covers: all of the document that holds it, a part of it, or a document that is elsewhere."""

    WHOLE = "whole"
    PART = "part"
    DETACHED = "detached"


class Flaw(StrEnum):
    """Why a signature or a timestamp is not intact.

    CONTENT: what was signed is not what is here. SIGNATURE: the value is not of the certificate's key. CERTIFICATE:
    the signature names another certificate than the one that comes with it. IMPRINT: a timestamp covers something else.
    ATTRIBUTES: a CMS signature without signed attributes, and CONTEXT: a raw signature of what a signature of another
    format signs; either could have been made for another document. WEAK: by a hash that is broken, SHA-1 or MD5.
    """

    CONTENT = "content"
    SIGNATURE = "signature"
    CERTIFICATE = "certificate"
    IMPRINT = "imprint"
    ATTRIBUTES = "attributes"
    CONTEXT = "context"
    WEAK = "weak"


class VerifiedTimestamp(Value):
    """An RFC 3161 timestamp of the signature: when, by whose certificate, with which others at hand (all DER)."""

    time: datetime
    certificate: bytes
    chain: tuple[bytes, ...]
    flaw: Flaw | None = None

    @property
    def intact(self) -> bool:
        """Whether it covers this signature, and its own holds."""
        return self.flaw is None


class SignedSet(Value):
    """A DMP submission set by its ``uniqueId``, its documents in the manifest's order, and those that were changed."""

    unique_id: str
    documents: tuple[str, ...]
    changed: tuple[str, ...] = ()


class VerifiedSignature(Value):
    """One signature of a document.

    ``certificate`` is the signer's, ``chain`` the others that came with it (DER, in no order that means anything);
    ``algorithm`` has its JOSE name (RFC 7518): others' signatures may use more than cardd's keys do;
    ``digest`` is the SHA-256 of what was signed, as it is here; ``signed_at`` is the signer's own claim;
    ``submission_set`` is what the signature of a set covers, by its manifest, whose digest is told then;
    ``later`` is what was changed since in a PDF; ``names_certificate`` says whether a CMS signature names its own;
    ``path_named`` are the further certificates that it wants in its path, each as a hash's name and the digest.
    """

    format: Format
    certificate: bytes
    chain: tuple[bytes, ...]
    algorithm: str
    scope: Scope
    digest: bytes
    signed_at: datetime | None = None
    timestamp: VerifiedTimestamp | None = None
    flaw: Flaw | None = None
    submission_set: SignedSet | None = None
    later: Later = Later.NOTHING
    names_certificate: bool = True
    path_named: tuple[tuple[str, bytes], ...] = ()

    @property
    def intact(self) -> bool:
        """Whether the signature is of this certificate's key, and of what is here."""
        return self.flaw is None


def claimed_time(text: str) -> datetime:
    """Return the time that a signer wrote, in UTC, whose zone it is where none was written. Raises ValueError."""
    told = datetime.fromisoformat(text)
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)


class Status(StrEnum):
    """What the authority says; UNKNOWN when it says nothing that counts."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """How the authority was asked: OCSP (RFC 6960) or a revocation list (RFC 5280, section 5)."""

    OCSP = "ocsp"
    CRL = "crl"


class Why(StrEnum):
    """Why it is unknown, from what tells least to what tells most.

    NO_SOURCE: the certificate names nobody to ask over http. OFFLINE: nobody may be asked. UNREACHABLE: nobody
    answers. STALE: the answer is not of now. PARTIAL: a list that is a delta or an indirect one. GARBLED: the answer is
    not about this certificate, not signed by whom it must be, or none at all. EXPIRED: the certificate has ended, after
    which authorities forget what they had revoked.
    """

    NO_SOURCE = "no_source"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    PARTIAL = "partial"
    GARBLED = "garbled"
    EXPIRED = "expired"


class Revocation(Value):
    """What is known of one certificate's, ``subject``.

    ``as_of`` is when the authority said so (thisUpdate), ``revoked_at`` since when it is revoked, ``reason`` why, in
    the words of RFC 5280, section 5.3.1.
    """

    subject: str
    status: Status
    source: Source | None = None
    as_of: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None
    why: Why | None = None
