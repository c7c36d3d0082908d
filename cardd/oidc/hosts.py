"""Which addresses a provider may send us to.

Every endpoint is https, on the issuer's own host, on another host of its domain, or on a host that the configuration
allows. A domain is what one organisation registers: ``esante.gouv.fr`` for PSC, because ``gouv.fr`` is shared by many.
The Public Suffix List would know them all; here the shared suffixes are the usual second-level names, and what is
missed is allowed by configuration.
"""

from __future__ import annotations

import ipaddress

from yarl import URL

from cardd.errors import PscDiscoveryHost, PscDiscoveryInsecure

SHARED = {"ac", "asso", "co", "com", "edu", "go", "gob", "gouv", "gov", "net", "nhs", "nom", "or", "org", "prd", "tm"}


def check_endpoint(name: str, address: str, issuer: str, extra_hosts: tuple[str, ...], *, loopback_http: bool) -> None:
    """Raises PscDiscoveryInsecure or PscDiscoveryHost, naming the endpoint."""
    try:
        url, home = URL(address), URL(issuer)
    except ValueError:
        raise PscDiscoveryInsecure(endpoint=name) from None
    check_protected(name, url, loopback_http=loopback_http)
    host = url.host or ""
    if host not in (home.host, *extra_hosts) and domain_of(host) != domain_of(home.host or ""):
        raise PscDiscoveryHost(endpoint=name, host=host)


def check_protected(name: str, url: URL, *, loopback_http: bool) -> None:
    """Raises PscDiscoveryInsecure for anything but https, or http on loopback where that is allowed."""
    plain = loopback_http and url.scheme == "http" and is_loopback(url.host or "")
    if not url.host or url.user or url.password or not (url.scheme == "https" or plain):
        raise PscDiscoveryInsecure(endpoint=name)


def domain_of(host: str) -> str:
    """The part of a host's name that one organisation owns; the host itself for an address or a bare name."""
    labels = host.lower().rstrip(".").split(".")
    if is_loopback(host) or ":" in host or labels[-1].isdigit() or len(labels) < 2:
        return host
    return ".".join(labels[-3 if labels[-2] in SHARED else -2 :])


def is_loopback(host: str) -> bool:
    """Whether the name means this machine and no other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
