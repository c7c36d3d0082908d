"""The provider's own description of itself (OpenID Connect Discovery 1.0), at PSC's address or the standard one.

PSC keeps it at ``wallet-openid-configuration``. Nothing in it is believed before it names the configured issuer to
the letter. Every address is https, on the issuer's own host, on another host of its domain, or on a host that the
configuration allows. A domain is what one organisation registers, by the Public Suffix List: ``esante.gouv.fr`` for
PSC, because ``gouv.fr`` is shared by many.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import cache
from typing import Literal

from publicsuffixlist import PublicSuffixList
from yarl import URL

from cardd.errors import (
    PscDiscoveryHost,
    PscDiscoveryInsecure,
    PscDiscoveryIssuer,
    PscGarbled,
    PscRealmUnknown,
    PscUnavailable,
)
from cardd.oidc.http import Http, SharedFetch
from cardd.oidc.tokens import JsonObject, parse, text
from cardd.ports import Clock
from cardd.values import Value, field

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
RedirectIssuer = Literal["optional", "announced"]


class ProviderSettings(Value):
    """One service at one provider.

    ``issuer`` is compared to the letter; ``extra_hosts`` are hosts outside its domain that its endpoints may be on;
    ``acr`` is the least level of authentication, None for any; ``parameters`` go with each request for a login, and
    ``idp_hint`` (Keycloak's ``kc_idp_hint``) with those in the browser. ``redirect_issuer`` says whether a redirect may
    lack ``iss`` (RFC 9207) where the provider announces it; a wrong one is refused always.
    ``skew`` is how far the two clocks may differ, and ``interval_min`` the least between two questions about a login by
    mobile, whatever the provider tells, in seconds; ``allow_loopback_http`` is for tests and lets a provider on
    loopback speak plain http; ``thumbprint`` is that of the certificate that we show (``x5t#S256``).
    """

    issuer: str
    client_id: str
    scope: str = "openid scope_all"
    acr: str | None = "eidas1"
    parameters: Mapping[str, str] = field(default_factory=dict)
    idp_hint: str | None = None
    redirect_issuer: RedirectIssuer = "optional"
    extra_hosts: tuple[str, ...] = ()
    skew: float = 60.0
    interval_min: float = 1.0
    thumbprint: str | None = None
    allow_loopback_http: bool = False

    @property
    def asked(self) -> dict[str, str]:
        """What every request for a login has: scope and level, and what the configuration adds."""
        level = {"acr_values": self.acr} if self.acr else {}
        return {**self.parameters, "scope": self.scope, **level}


class Metadata(Value):
    """What discovery told: addresses by short name, those for clients with a certificate (RFC 8705, 5) beside them.

    ``iss_in_redirect`` says that the provider names itself in its redirects (RFC 9207).
    """

    issuer: str
    endpoints: Mapping[str, str]
    mtls_endpoints: Mapping[str, str] = field(default_factory=dict)
    iss_in_redirect: bool = False

    def endpoint(self, name: str, *, mtls: bool = False) -> str | None:
        """Return the address, that for client certificates where there is one and it is asked for; None without."""
        return (self.mtls_endpoints.get(name) if mtls else None) or self.endpoints.get(name)


class Discovery:
    """The metadata, fetched when it is first needed and again when it is an hour old.

    What was good an hour ago serves while the provider is away; it is asked again every half minute then.
    """

    def __init__(self, settings: ProviderSettings, http: Http, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._renewed = SharedFetch(self._fetched, clock)
        self._known: Metadata | None = None
        self._good_until = 0.0

    async def metadata(self) -> Metadata:
        """Return it. Raises PscUnavailable, PscCertificate, PscGarbled, or one of the PscDiscovery… errors."""
        if self._known is None or self._clock.monotonic() > self._good_until:
            return await self._renewed()
        return self._known

    async def _fetched(self) -> Metadata:
        try:
            found, good_for = self._read(await self._fetch()), MAX_AGE
        except PscUnavailable:
            if self._known is None:
                raise
            found, good_for = self._known, RETRY_INTERVAL
        self._known, self._good_until = found, self._clock.monotonic() + good_for
        return found

    async def _fetch(self) -> JsonObject:
        issuer = self._settings.issuer
        self._check("issuer", issuer)
        for place in PLACES:
            answer = await self._http.get(f"{issuer.rstrip('/')}/.well-known/{place}")
            if answer.status == 200:
                return parse(answer.body, "discovery")
        raise PscRealmUnknown(host=URL(issuer).host or issuer, reason="realm")

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


def check_endpoint(name: str, address: str, issuer: str, extra_hosts: tuple[str, ...], *, loopback_http: bool) -> None:
    """Check where an endpoint is. Raises PscDiscoveryInsecure or PscDiscoveryHost, naming the endpoint."""
    try:
        url = URL(address)
        host, home = url.host or "", URL(issuer).host or ""  # decoding a name may fail too
    except ValueError:
        raise PscDiscoveryInsecure(endpoint=name) from None
    check_protected(name, url, loopback_http=loopback_http)
    if host not in (home, *extra_hosts) and domain_of(host) != domain_of(home):
        raise PscDiscoveryHost(endpoint=name, host=host)


def check_protected(name: str, url: URL, *, loopback_http: bool) -> None:
    """Allow https, and http on loopback where ``loopback_http`` says so. Raises PscDiscoveryInsecure."""
    plain = loopback_http and url.scheme == "http" and is_loopback(url.host or "")
    if not url.host or url.user or url.password or not (url.scheme == "https" or plain):
        raise PscDiscoveryInsecure(endpoint=name)


def domain_of(host: str) -> str:
    """Return the part of a host's name that one organisation registered; the host itself for a number or a suffix."""
    name = host.lower().rstrip(".")
    if is_loopback(host) or ":" in host or name.rpartition(".")[2].isdigit():
        return host
    return _suffixes().privatesuffix(name) or host


@cache
def _suffixes() -> PublicSuffixList:
    """Return the list that the package carries, read when two hosts are compared for the first time: 60 ms, 2 MB."""
    return PublicSuffixList()


def is_loopback(host: str) -> bool:
    """Return whether the name means this machine and no other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
