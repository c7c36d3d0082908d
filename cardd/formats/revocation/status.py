"""What is known of a certificate's revocation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
    answers. STALE: the answer is not of now. GARBLED: the answer is not about this certificate, not signed by whom it
    must be, or none at all. EXPIRED: the certificate has ended, after which authorities forget what they had revoked.
    """

    NO_SOURCE = "no_source"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    GARBLED = "garbled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Revocation:
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
