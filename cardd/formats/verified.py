"""What a look at a signed document finds, whatever its format: who signed what, when, and whether it is whole.

Nothing here says that the signer is to be trusted: that the certificate has a path to a configured authority and was
not revoked is judged apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
    """

    CONTENT = "content"
    SIGNATURE = "signature"
    CERTIFICATE = "certificate"
    IMPRINT = "imprint"


@dataclass(frozen=True, slots=True)
class VerifiedTimestamp:
    """An RFC 3161 timestamp of the signature: when, by whose certificate, with which others at hand (all DER)."""

    time: datetime
    certificate: bytes
    chain: tuple[bytes, ...]
    flaw: Flaw | None = None

    @property
    def intact(self) -> bool:
        """Whether it covers this signature, and its own holds."""
        return self.flaw is None


@dataclass(frozen=True, slots=True)
class SignedSet:
    """A DMP submission set by its ``uniqueId``, its documents in the manifest's order, and those that were changed."""

    unique_id: str
    documents: tuple[str, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """One signature of a document.

    ``certificate`` is the signer's, ``chain`` the others that came with it (DER, in no order that means anything);
    ``algorithm`` has its JOSE name (RFC 7518): others' signatures may use more than cardd's keys do;
    ``digest`` is the SHA-256 of what was signed, as it is here; ``signed_at`` is the signer's own claim;
    ``submission_set`` is what the signature of a set covers, by its manifest, whose digest is told then.
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

    @property
    def intact(self) -> bool:
        """Whether the signature is of this certificate's key, and of what is here."""
        return self.flaw is None
