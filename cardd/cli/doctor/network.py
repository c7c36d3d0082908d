"""The way to other machines: what systemd allows, the proxy, Pro Santé Connect, and who tells of certificates."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.client import CarddClient
from cardd.config import Config
from cardd.errors import MethodUnavailable, ReaderBusy
from cardd.i18n import N_
from cardd.outward import ENVIRONMENT, HERE

EVERYWHERE = {"any", "0.0.0.0/0", "::/0"}
CLOCKS_MAY_DIFFER = 60.0  # seconds; beyond that the provider's tokens look as if they were of another time
CONNECT_LIMIT = 2.0  # seconds
HTTP = 80

# --- what systemd allows

NETWORK_OK = ok("network.ok", N_("Open to the machines that the configuration names."))
NETWORK_NARROWED = ok("network.narrowed", N_("Open to some addresses: {allowed}."))
NETWORK_CLOSED = failure(
    "network.closed",
    N_("systemd lets the service reach no server, and the configuration names {host}."),
    N_(
        "One after the other: “sudo install -D -m 644 /usr/share/doc/cardd/examples/network.conf "
        "/etc/systemd/system/cardd.service.d/network.conf”, “sudo systemctl daemon-reload”, “sudo "
        "systemctl restart cardd”."
    ),
)


def network(surroundings: Surroundings) -> Finding:
    """Check whether systemd lets the service reach the machines that the configuration names.

    IPAddressDeny keeps it from other machines, RestrictAddressFamilies from this one's servers too.
    """
    named, others = _named(surroundings.config), sorted(elsewhere(surroundings.config))
    if not named:
        raise Unknowable("no_network")
    unit = surroundings.unit("cardd")
    if unit is None or unit.get("ActiveState") == "inactive":
        raise Unknowable("no_unit")
    denied, allowed, families = (
        unit.get(name, "").split() for name in ("IPAddressDeny", "IPAddressAllow", "RestrictAddressFamilies")
    )
    if families and "AF_INET" not in families and not families[0].startswith("~"):
        return NETWORK_CLOSED(host=(others or sorted(named))[0])
    if not (others and set(denied) & EVERYWHERE):
        return NETWORK_OK()
    if [one for one in allowed if not ipaddress.ip_network(one, strict=False).is_loopback]:
        return NETWORK_NARROWED(allowed=", ".join(allowed)[:200])
    return NETWORK_CLOSED(host=others[0])


def elsewhere(config: Config) -> set[str]:
    """Return the hosts that the configuration has cardd reach, this machine's own left out."""
    return _named(config) - {*HERE}


def _named(config: Config) -> set[str]:
    addresses = [upstream.url for upstream in config.upstreams.values()]
    addresses += [sink for sink in config.audit.sinks if sink.startswith("https:")]
    addresses += [config.timestamp.url or ""]
    hosts = {urlsplit(address).hostname or "" for address in addresses}
    hosts |= {config.psc.host} if config.psc.is_configured else set()
    return hosts - {""}


# --- the proxy

PROXY_OK = ok("proxy.ok", N_("The network's proxy answers ({proxy})."))
PROXY_UNREACHABLE = failure(
    "proxy.unreachable",
    N_("The network's proxy does not answer ({proxy}): cardd reaches no other machine."),
    N_(
        'Check network.proxy in the configuration, then the proxy; without one, set network.proxy = "none". After a '
        "change: “sudo systemctl restart cardd”."
    ),
)
PROXY_INVALID = failure(
    "proxy.invalid",
    N_("The environment names a proxy, and its address cannot be used ({variable}): cardd reaches no other machine."),
    N_("Correct it: http://host:port, with a number for the port. Then “sudo systemctl restart cardd”."),
)
PROXY_UNUSED = warning(
    "proxy.unused",
    N_("This desktop goes through a proxy ({proxy}), and cardd does not."),
    N_(
        "If other machines are reached through it only, set network.proxy in the configuration, then "
        "“sudo systemctl restart cardd”."
    ),
    is_minor=True,
)


def proxy(surroundings: Surroundings) -> Finding:
    """Check whether the network's proxy answers, and whether cardd has been told of it."""
    config, own = surroundings.config, getproxies()
    scheme = next((name for name in ("https", "http") if own.get(name)), "")
    of_desktop = own.get(scheme, "")
    is_used = config.network.proxy == ENVIRONMENT
    address = of_desktop if is_used or config.network.proxy == "none" else config.network.proxy
    if not address:
        raise Unknowable("no_proxy")
    found = _host_and_port(address)
    if config.network.proxy == "none":
        if found and elsewhere(config):
            return PROXY_UNUSED(proxy=_shown(*found))
        raise Unknowable("no_proxy")
    if found is None:
        return PROXY_INVALID(variable=f"{scheme}_proxy")
    return (PROXY_OK if _answers(*found) else PROXY_UNREACHABLE)(proxy=_shown(*found))


def _host_and_port(address: str) -> tuple[str, int] | None:
    """Return where a proxy is, without user and password; None for what is no such address."""
    try:
        found = urlsplit(address if "://" in address else f"http://{address}")
        host, port = found.hostname, found.port or HTTP
    except ValueError:  # no port, or half of an IPv6 address
        return None
    return (host, port) if host else None


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), CONNECT_LIMIT):
            return True
    except (OSError, UnicodeError):  # the latter for a name that none can have
        return False


# --- Pro Santé Connect

PSC_OK = ok("psc.ok", N_("Answers; login by e-CPS can begin, and sessions outlive the service."))
PSC_NOT_KEPT = ok(
    "psc.not_kept", N_("Answers; login by e-CPS can begin. Without a keyring, sessions end with the service.")
)
PSC_CLOCK = failure(
    "psc.clock",
    N_("Its clock and this workstation's differ by {seconds} s: its answers would be refused."),
    N_("Set the clock, and turn automatic time on: “sudo timedatectl set-ntp true”."),
    fix=("timedatectl", "set-ntp", "true"),
)
PSC_NO_CIBA = warning(
    "psc.no_ciba",
    N_("Answers, but does not announce the login by mobile (CIBA)."),
    N_("Log in by the browser; the vendor can ask ANS to enable CIBA for the service."),
)


def psc(surroundings: Surroundings) -> Finding:
    """Check whether a login by e-CPS could begin: credentials, provider, clocks. Nobody's mobile is woken.

    Raises the errors of ``psc``, each of which tells one broken way.
    """
    try:
        found = surroundings.ask(CarddClient.check_ecps)
    except MethodUnavailable:
        raise Unknowable("no_psc") from None
    if found.clock is not None and abs(found.clock) > CLOCKS_MAY_DIFFER:
        return PSC_CLOCK(seconds=round(abs(found.clock)))
    if not found.mobile:
        return PSC_NO_CIBA()
    return PSC_OK() if found.resumes else PSC_NOT_KEPT()


# --- who tells of the card's certificates

CHAIN_OK = ok("chain.ok", N_("The card's certificates end at {authority}."))
CHAIN_INCOMPLETE = failure(
    "chain.incomplete",
    N_("No authority in {file} has issued the card's certificates (issuer: {issuer})."),
    N_(
        "Get that issuer's certificate, and those above it up to the root, from ANS, which publishes the authorities "
        "of the IGC-Santé. Add them to {file} in PEM, then “sudo systemctl restart cardd”."
    ),
)


def chain(surroundings: Surroundings) -> Finding:
    """Check whether the authorities of the configuration lead from the card's certificates to a root.

    Raises ConfigInvalid for a file that cannot be used.
    """
    file = surroundings.config.trust.authorities
    if file is None:
        raise Unknowable("no_authorities")
    from cardd.formats.trust import authorities_of  # noqa: PLC0415 - with asn1crypto, where there are authorities
    from cardd.identity.chain import KnownAuthorities  # noqa: PLC0415

    known = KnownAuthorities(None, authorities_of(file))
    last = ""
    for certificate in _certificates(surroundings):
        above = known.above(certificate)
        end = above[-1] if above else certificate
        subject, issuer, is_root = _names(end)
        if not is_root:
            return CHAIN_INCOMPLETE(file=str(file), issuer=issuer)
        last = subject
    return CHAIN_OK(authority=last)


REVOCATION_OK = ok("revocation.ok", N_("Who tells of revoked certificates can be reached: {hosts}."))
REVOCATION_UNREACHABLE = warning(
    "revocation.unreachable",
    N_("{host} cannot be reached: nobody tells here whether certificates were revoked."),
    N_(
        "Check the connection to the internet, and have the firewall or the proxy allow this address. Where that is "
        'not wanted, set trust.revocation = "offline".'
    ),
)


def revocation(surroundings: Surroundings) -> Finding:
    """Check whether those can be reached who tell whether the card's certificates were revoked."""
    config = surroundings.config
    if config.trust.revocation == "offline":
        raise Unknowable("offline")
    if config.network.proxy != "none":
        raise Unknowable("by_proxy")
    places = sorted({place for one in _certificates(surroundings) for place in _told_by(one)})
    if not places:
        raise Unknowable("no_revocation")
    for host, port in places:
        if not _answers(host, port):
            return REVOCATION_UNREACHABLE(host=host)
    return REVOCATION_OK(hosts=", ".join(dict.fromkeys(host for host, _ in places)))


def _certificates(surroundings: Surroundings) -> Iterable[bytes]:
    try:
        return [one.der for one in surroundings.certificates()]
    except ReaderBusy:
        raise Unknowable("held") from None


def _names(der: bytes) -> tuple[str, str, bool]:
    """Return subject and issuer of a certificate, and whether it issued itself."""
    from asn1crypto import x509  # noqa: PLC0415 - with the first certificate

    found = x509.Certificate.load(der)
    return found.subject.human_friendly, found.issuer.human_friendly, found.subject == found.issuer


def _told_by(der: bytes) -> Iterator[tuple[str, int]]:
    """Yield host and port of those who tell whether a certificate was revoked."""
    from asn1crypto import x509  # noqa: PLC0415 - with the first certificate

    found = x509.Certificate.load(der)
    lists = (url for point in found.crl_distribution_points if (url := point.url))
    for url in (*found.ocsp_urls, *lists):
        with suppress(ValueError):
            parts = urlsplit(url)
            if parts.scheme == "http" and parts.hostname:
                yield parts.hostname, parts.port or HTTP


CHECKS = {
    "network": Check(N_("Network"), network),
    "proxy": Check(N_("Proxy of the network"), proxy),
    "psc": Check(N_("Pro Santé Connect"), psc),
    "chain": Check(N_("Authorities"), chain),
    "revocation": Check(N_("Revocation"), revocation),
}
