"""The server behind the relay cannot be reached, or is not who it must be."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

_FOR_TESTS: Words = {
    "what": {
        "card": N_("A test or simulated card"),
        "organisation": N_("A test certificate"),
        "person": N_("A person of a test environment"),
    }
}
# what is no word of the system's own
_UNREACHED: Words = {
    "why": {
        "blocked": N_("the service's systemd unit allows this machine only: network.conf in systemd/ opens it"),
        "proxy_unreachable": N_("the network's proxy cannot be reached"),
        "proxy_credentials": N_("the network's proxy wants a user and a password, or others"),
        "proxy_refused": N_("the network's proxy does not pass the connection on"),
        "proxy_unusable": N_("what the environment says of the network's proxy is no http address"),
    }
}


class UpstreamError(CarddError):
    """The server behind the relay cannot be reached, or is not who it must be."""

    status = 502


class TlsUnavailable(UpstreamError):
    """This machine's OpenSSL cannot be used with a key outside of it."""

    code = "upstream.library"
    status = 503
    title = N_("TLS unavailable")
    detail = N_("This machine's OpenSSL cannot use a key that stays on the card ({why}).")
    remedy = N_("Install libssl3 (OpenSSL 3.0 or later), then try again.")

    why: str


class UpstreamUnknown(UpstreamError):
    """The configuration has no upstream of this name."""

    code = "upstream.unknown"
    status = 404
    title = N_("Unknown upstream")
    detail = N_("The configuration has no upstream named “{name}”.")
    remedy = N_("Add the section [upstreams.NAME], or correct the name.")

    name: str
    known: str = "–"  # the names that there are


class UpstreamOfAnotherKind(UpstreamError):
    """A tunnel is asked for to a server that is relayed to, or a request to one that has tunnels."""

    code = "upstream.kind"
    status = 409
    title = N_("Server of another kind")
    detail = N_("The server “{name}” is not reached this way: its kind is {kind}.")
    remedy = N_("Reach it by the relay where its kind is https, by a tunnel where it is tls: upstreams.NAME.kind.")

    name: str
    kind: str


class UpstreamPathRefused(UpstreamError):
    """The configuration does not allow this path of the upstream, or the path is ambiguous."""

    code = "upstream.path"
    status = 403
    title = N_("Path not allowed")
    detail = N_("The configuration does not allow this path of “{name}”, or the path is ambiguous.")
    remedy = N_(
        "Add it to upstreams.NAME.paths if it is to be reached; a path has no “.”, no “..” and no encoded slash."
    )

    name: str


class UpstreamUnreachable(UpstreamError):
    """No connection, or no answer in time."""

    code = "upstream.unreachable"
    status = 503
    retryable = True
    title = N_("Upstream unreachable")
    detail = N_("The server “{name}” cannot be reached ({why}).")
    remedy = N_("Check the network and the address, then try again.")
    words = _UNREACHED

    name: str
    why: str


class UpstreamTimeout(UpstreamError):
    """The server was reached and then said nothing for too long."""

    code = "upstream.timeout"
    status = 504
    retryable = True
    title = N_("Upstream silent")
    detail = N_("The server “{name}” said nothing for {seconds} s.")
    remedy = N_("Try again; a request that writes may have been served, check that first.")

    name: str
    seconds: int


class UpstreamUntrusted(UpstreamError):
    """The server's certificate is not one to trust for this host."""

    code = "upstream.certificate"
    title = N_("Upstream not proven")
    detail = N_("The certificate of the server “{name}” is not the right one ({why}); nothing was entrusted to it.")
    remedy = N_("Check the address, the configured authorities and this machine's clock. Do not work around this.")

    name: str
    why: str


class UpstreamCertificateWeak(UpstreamError):
    """Our own certificate is too weak for TLS: a short key, an old signature."""

    code = "upstream.weak_certificate"
    status = 422
    title = N_("Certificate too weak")
    detail = N_("The certificate cannot serve for TLS ({why}).")
    remedy = N_("Use one with a key of 2048 bits or more, signed with SHA-256: another card, or a renewed certificate.")

    why: str


class UpstreamRefusedUs(UpstreamError):
    """The server ended the handshake: it does not want this certificate, or nothing that its key can do."""

    code = "upstream.refused"
    title = N_("Certificate refused by the upstream")
    detail = N_("The server “{name}” refused our certificate, or what its key can do ({why}).")
    remedy = N_(
        "Check that this certificate is admitted there and in date, and that the server accepts TLS 1.2 with RSA."
    )

    name: str
    why: str


class UpstreamTlsFailed(UpstreamError):
    """No TLS connection came to be, for another reason."""

    code = "upstream.tls"
    title = N_("No TLS connection")
    detail = N_("No TLS connection comes to be with the server “{name}” ({why}).")
    remedy = N_("Compare the TLS versions of both sides; look at the server's log.")

    name: str
    why: str


class UpstreamClosed(UpstreamError):
    """The server hung up in the middle."""

    code = "upstream.closed"
    retryable = True
    title = N_("Connection cut")
    detail = N_("The server “{name}” closed the connection before the end.")
    remedy = N_("Try again; a request that writes may have been served, check that first.")

    name: str


class UpstreamGarbled(UpstreamError):
    """What the server answers is not HTTP."""

    code = "upstream.garbled"
    title = N_("Answer not understood")
    detail = N_("What the server “{name}” answers is not HTTP.")
    remedy = N_("Check the configured address and port.")

    name: str


class UpstreamAnswerTooLarge(UpstreamError):
    """The server's answer passes the configured limit."""

    code = "upstream.too_large"
    title = N_("Answer too large")
    detail = N_("The answer of the server “{name}” passes the limit of {limit} bytes.")
    remedy = N_("Raise upstreams.NAME.max_body if such answers are expected.")

    name: str
    limit: int  # bytes


class UpstreamClockOff(UpstreamError):
    """This machine's clock and the upstream's differ by more than they may; its answer is not handed on."""

    code = "upstream.clock"
    title = N_("Clock off")
    detail = N_(
        "The clocks of this machine and of the server “{name}” differ by {seconds} s; its answer (status {answered}) "
        "is withheld, but the request was served."
    )
    remedy = N_("Set this machine's clock (NTP), then try again.")

    name: str
    seconds: int
    answered: int  # the HTTP status: the request was served


class UpstreamProduction(UpstreamError):
    """A test card, a test certificate or a fictitious person would go to a production server (EX_GEN-1430)."""

    code = "upstream.production"
    status = 403
    title = N_("Test card refused in production")
    detail = N_(
        "{what} may not be used with “{name}” ({host}), which is not known as a test environment; nothing was sent."
    )
    remedy = N_(
        "Use a real card or certificate. If the server is a test environment, set upstreams.NAME.sandbox = true."
    )
    words = _FOR_TESTS

    name: str
    host: str
    what: str


class UpstreamRevoked(UpstreamError):
    """The server's certificate, or one above it, was revoked by its authority."""

    code = "upstream.revoked"
    title = N_("Server certificate revoked")
    detail = N_(
        "The authority revoked the certificate with which “{name}” proves itself ({certificate}); nothing was sent."
    )
    remedy = N_("Do not go on. Tell the support, and whoever runs the server.")

    name: str
    certificate: str


class UpstreamNotVouchedFor(UpstreamError):
    """Nobody tells whether the server's certificate was revoked, and the configuration wants to know."""

    code = "upstream.revocation_unknown"
    status = 503
    retryable = True
    title = N_("Revocation unknown")
    detail = N_("No authority tells whether the certificate of “{name}” was revoked ({certificate}); nothing was sent.")
    remedy = N_("Check that this machine reaches the authority's OCSP or CRL service, then try again.")

    name: str
    certificate: str
