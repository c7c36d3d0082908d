"""What is known of the provider before it is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One service at one provider.

    ``issuer`` is compared to the letter; ``extra_hosts`` are hosts outside its domain that its endpoints may be on;
    ``skew`` is how far the two clocks may differ, in seconds; ``allow_loopback_http`` is for tests and lets a
    provider on loopback speak plain http; ``thumbprint`` is that of the certificate that we show (``x5t#S256``).
    """

    issuer: str
    client_id: str
    scope: str = "openid scope_all"
    acr: str = "eidas1"
    extra_hosts: tuple[str, ...] = ()
    skew: float = 60.0
    thumbprint: str | None = None
    allow_loopback_http: bool = False
