"""Which addresses a provider may send us to.

Every endpoint is https, on the issuer's own host, on another host of its domain, or on a host that the configuration
allows. A domain is what one organisation registers, by the Public Suffix List: ``esante.gouv.fr`` for PSC, because
``gouv.fr`` is shared by many.
"""

from __future__ import annotations

import ipaddress
from functools import cache

from publicsuffixlist import PublicSuffixList
from yarl import URL

from cardd.errors import PscDiscoveryHost, PscDiscoveryInsecure


def check_endpoint(name: str, address: str, issuer: str, extra_hosts: tuple[str, ...], *, loopback_http: bool) -> None:
    """Raises PscDiscoveryInsecure or PscDiscoveryHost, naming the endpoint."""
    try:
        url = URL(address)
        host, home = url.host or "", URL(issuer).host or ""  # decoding a name may fail too
    except ValueError:
        raise PscDiscoveryInsecure(endpoint=name) from None
    check_protected(name, url, loopback_http=loopback_http)
    if host not in (home, *extra_hosts) and domain_of(host) != domain_of(home):
        raise PscDiscoveryHost(endpoint=name, host=host)


def check_protected(name: str, url: URL, *, loopback_http: bool) -> None:
    """Raises PscDiscoveryInsecure for anything but https, or http on loopback where that is allowed."""
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
    """Whether the name means this machine and no other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
