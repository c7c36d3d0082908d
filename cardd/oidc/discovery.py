"""The provider's own description of itself (OpenID Connect Discovery 1.0), at PSC's address or the standard one.

PSC keeps it at ``wallet-openid-configuration``. Nothing in it is believed before it names the configured issuer to
the letter and only addresses that ``hosts`` allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from cardd.errors import PscDiscoveryIssuer, PscGarbled, PscUnavailable
from cardd.oidc.fields import JsonObject, parse, text
from cardd.oidc.hosts import check_endpoint
from cardd.oidc.http import Http
from cardd.oidc.settings import ProviderSettings
from cardd.ports import Clock

PLACES = ("wallet-openid-configuration", "openid-configuration")
MAX_AGE = 3600.0
RETRY_INTERVAL = 30.0
ALIASES = "mtls_endpoint_aliases"
# our short names for the addresses; the first four every provider has
ENDPOINTS = {
    "authorization": "authorization_endpoint",
    "token": "token_endpoint",
    "userinfo": "userinfo_endpoint",
    "jwks": "jwks_uri",
    "ciba": "backchannel_authentication_endpoint",
    "end_session": "end_session_endpoint",
}
NEEDED = ("authorization", "token", "userinfo", "jwks")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What discovery told: addresses by short name, those for clients with a certificate (RFC 8705, 5) beside them.

    ``iss_in_redirect`` says that the provider names itself in its redirects (RFC 9207).
    """

    issuer: str
    endpoints: Mapping[str, str]
    mtls_endpoints: Mapping[str, str] = field(default_factory=dict)
    iss_in_redirect: bool = False

    def endpoint(self, name: str, *, mtls: bool = False) -> str | None:
        """The address, the one for client certificates where there is one and it is asked for; None without."""
        return (self.mtls_endpoints.get(name) if mtls else None) or self.endpoints.get(name)


class Discovery:
    """The metadata, fetched when it is first needed and again when it is an hour old.

    What was good an hour ago serves while the provider is away; it is asked again every half minute then.
    """

    def __init__(self, settings: ProviderSettings, http: Http, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: Metadata | None = None
        self._good_until = 0.0

    async def metadata(self) -> Metadata:
        """Raises PscUnavailable, PscCertificate, PscGarbled, or one of the PscDiscovery… errors."""
        async with self._lock:
            if self._known is None or self._clock.monotonic() > self._good_until:
                self._known = await self._fetched(self._known)
            return self._known

    async def _fetched(self, known: Metadata | None) -> Metadata:
        try:
            found, good_for = self._read(await self._fetch()), MAX_AGE
        except PscUnavailable:
            if known is None:
                raise
            found, good_for = known, RETRY_INTERVAL
        self._good_until = self._clock.monotonic() + good_for
        return found

    async def _fetch(self) -> JsonObject:
        issuer = self._settings.issuer
        self._check("issuer", issuer)
        for place in PLACES:
            answer = await self._http.get(f"{issuer.rstrip('/')}/.well-known/{place}")
            if answer.status == 200:
                return parse(answer.body, "discovery")
        raise PscUnavailable(host=URL(issuer).host or issuer)

    def _read(self, document: JsonObject) -> Metadata:
        if document.get("issuer") != self._settings.issuer:
            raise PscDiscoveryIssuer(issuer=self._settings.issuer)
        endpoints = self._addresses(document)
        if missing := [name for name in NEEDED if name not in endpoints]:
            raise PscGarbled(what=ENDPOINTS[missing[0]])
        aliases = document.get(ALIASES)
        return Metadata(
            issuer=self._settings.issuer,
            endpoints=endpoints,
            mtls_endpoints=self._addresses(aliases) if isinstance(aliases, dict) else {},
            iss_in_redirect=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _addresses(self, document: JsonObject) -> dict[str, str]:
        found = {name: address for name, key in ENDPOINTS.items() if (address := text(document, key))}
        for name, address in found.items():
            self._check(ENDPOINTS[name], address)
        return found

    def _check(self, name: str, address: str) -> None:
        known = self._settings
        check_endpoint(name, address, known.issuer, known.extra_hosts, loopback_http=known.allow_loopback_http)
