"""Whether a certificate may be signed with at a time, by its dates alone (RFC 5280, section 4.1.2.5)."""

from __future__ import annotations

from datetime import UTC, datetime

from cardd.errors import SigningCertificateExpired, SigningCertificateNotYetValid


def require_valid(not_before: datetime, not_after: datetime, now: datetime) -> None:
    """Raises SigningCertificateExpired, SigningCertificateNotYetValid."""
    if now > not_after:
        raise SigningCertificateExpired(not_after=_told(not_after))
    if now < not_before:
        raise SigningCertificateNotYetValid(not_before=_told(not_before))


def _told(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
