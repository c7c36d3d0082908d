"""Pro Santé Connect, or the editor's server, cannot be reached, or does not take this service for what it is."""

from __future__ import annotations

from typing import ClassVar, Self

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

# why a secret or a file of the service cannot be used; the system's own words too
_UNUSABLE: Words = {
    "why": {
        "absent": N_("there is none"),
        "refused": N_("the one that is kept was wrong; after a restart it is tried again"),
        "certificate": N_("the organisation's certificate is missing"),
        "no_keyring": N_("no keyring that encrypts is at hand"),
        "locked_keyring": N_("the keyring stays locked"),
    }
}
_PROXY: Words = {
    "why": {
        "unreachable": N_("it cannot be reached"),
        "credentials": N_("it wants a user and a password, or others (407)"),
        "refused": N_("it does not pass the connection on"),
        "unusable": N_("what the environment says of it is no http address"),
    }
}


class PscError(CarddError):
    """The login through Pro Santé Connect did not succeed; no session came of it."""

    status = 502


class PscUnavailable(PscError):
    """The provider does not answer, breaks off, or says that it cannot serve now; ``reason`` says which of them.

    Reasons that need other words are classes of their own, with this one's code.
    """

    code = "psc.unavailable"
    status = 503
    retryable = True
    title = N_("Pro Santé Connect does not answer")
    detail = N_("The service {host} does not answer, or not properly.")
    remedy = N_("Check the connection to the internet, then try again. Meanwhile, log in with the card.")

    host: str
    reason: str = "cut"
    retry_after: int | None = None  # seconds, where the provider says so

    def again(self) -> Self:
        """Return the same, to be raised once more."""
        return type(self).received(**self.params)


class PscNameUnknown(PscUnavailable):
    """No address is known for the provider's name (DNS)."""

    detail = N_("No address is known for the name {host} (DNS).")
    remedy = N_(
        "Check the connection to the internet, then the name in the configuration. Behind a proxy, set network.proxy."
    )


class PscConnectionRefused(PscUnavailable):
    """The provider's machine refuses the connection."""

    detail = N_("{host} refuses the connection: nothing listens there, or a firewall is in between.")
    remedy = N_("Check the address and port in the configuration, then the firewall.")


class PscSilent(PscUnavailable):
    """The provider lets the time pass."""

    detail = N_("{host} did not answer in time.")
    remedy = N_(
        "Try again in a moment. If it stays so, a firewall may drop the connection, or the network has a proxy: set "
        "network.proxy."
    )


class PscBlocked(PscUnavailable):
    """This machine does not let the service reach the network (systemd's IPAddressDeny)."""

    title = N_("The network is closed to cardd")
    detail = N_(
        "This machine forbids cardd to reach {host}: its systemd unit allows this machine only (IPAddressDeny)."
    )
    remedy = N_(
        "One after the other: “sudo install -D -m 644 /usr/share/doc/cardd/examples/network.conf "
        "/etc/systemd/system/cardd.service.d/network.conf”, “sudo systemctl daemon-reload”, “sudo "
        "systemctl restart cardd”."
    )


class PscBehindProxy(PscUnavailable):
    """The configured forward proxy does not lead to the provider."""

    title = N_("The network's proxy refuses")
    detail = N_("The network's proxy does not lead to {host}: {why}.")
    remedy = N_(
        "Check network.proxy in the configuration, network.proxy_user and the secret network-proxy-password; else have "
        "the proxy's administrator allow this address."
    )
    words = _PROXY

    why: str


class PscBusy(PscUnavailable):
    """The provider is asked too often (429)."""

    detail = N_("{host} is asked too often, and wants to be left alone for a moment (429).")
    remedy = N_("Wait a minute, then try again. If it comes back, tell the vendor: the service has a limit at ANS.")


class PscFailing(PscUnavailable):
    """The provider has a fault of its own (5xx)."""

    detail = N_("{host} answers that it has a fault of its own (HTTP {answered}).")
    remedy = N_("Try again later; meanwhile, log in with the card. ANS tells of its incidents on its site.")

    answered: int


class PscRealmUnknown(PscUnavailable):
    """Nothing is at the issuer's address (404)."""

    title = N_("No Pro Santé Connect at this address")
    detail = N_("{host} answers, but knows no provider at the configured address (404).")
    remedy = N_("Correct psc.issuer in the configuration, to the letter: host and realm.")


class PscCertificate(PscError):
    """The provider's TLS certificate is not one that this machine trusts for its name."""

    code = "psc.certificate"
    title = N_("The service's certificate was refused")
    detail = N_("What answers at {host} does not prove that it is that service; it was told nothing.")
    remedy = N_(
        "Check this machine's clock, and whether a proxy or an antivirus intercepts connections; else tell the support."
    )

    host: str
    reason: str = "other"
    holder: str = "–"  # whose certificate it is, who issued it, and from when until when it is valid
    issuer: str = "–"
    since: str = "–"
    until: str = "–"


class PscCertificateExpired(PscCertificate):
    """The provider's certificate has ended."""

    detail = N_("The certificate of {host} ({holder}) ended on {until}; it was told nothing.")
    remedy = N_("Check this machine's clock (timedatectl). If it is right, whoever runs {host} must renew it.")


class PscCertificateEarly(PscCertificate):
    """The provider's certificate is not valid yet."""

    detail = N_("The certificate of {host} ({holder}) is valid from {since} on; it was told nothing.")
    remedy = N_("Check this machine's clock (timedatectl).")


class PscCertificateName(PscCertificate):
    """The provider's certificate is another host's."""

    detail = N_("What answers at {host} shows the certificate of “{holder}”; it was told nothing.")
    remedy = N_("Check the address in the configuration, and whether a proxy or an antivirus intercepts connections.")


class PscCertificateUnknown(PscCertificate):
    """The provider's certificate ends at no authority that is trusted here."""

    detail = N_(
        "The certificate of {host} ({holder}) was issued by “{issuer}”, which this machine does not trust; it was told "
        "nothing."
    )
    remedy = N_(
        "If your network opens connections, name its authority in network.authorities; if the service has an authority "
        "of its own, in psc.authorities. Else tell the support."
    )


class PscClientRefused(PscError):
    """The provider does not accept the service's credentials; ``reason`` says what is wrong where that is known."""

    code = "psc.client_refused"
    title = N_("Pro Santé Connect refuses the service")
    detail = N_("Pro Santé Connect does not accept this service's credentials or certificate.")
    remedy = N_(
        "Check the client id, the secret or the organisation's certificate in the configuration, and its validity."
    )

    reason: str = "unknown"


class PscSecretWrong(PscClientRefused):
    """The provider does not accept the service's identifier with this secret."""

    detail = N_("Pro Santé Connect does not accept the identifier “{client_id}” with the secret that is kept here.")
    remedy = N_(
        "Check psc.client_id, and put the right secret in place again (psc-client-secret); then restart cardd: "
        "“sudo systemctl restart cardd”. If it was right, the secret was renewed at ANS."
    )

    client_id: str


class PscClientExpired(PscClientRefused):
    """The certificate that proves this service has ended."""

    title = N_("The service's certificate has expired")
    detail = N_("The certificate that proves this service to Pro Santé Connect ({holder}) ended on {until}.")
    remedy = N_("Have it renewed by ANS, and put the new file in its place (psc.certificate, or the section csa).")

    holder: str
    until: str


class PscIncomplete(PscError):
    """This workstation lacks what it proves the service with."""

    code = "psc.incomplete"
    status = 503
    title = N_("Credentials are missing here")
    detail = N_("This workstation has no usable “{what}” to prove itself to Pro Santé Connect ({why}).")
    remedy = N_(
        "Put a secret into the keyring (service cardd), or into a systemd credential of the service (cardd.NAME); for "
        "a file, check its path and rights."
    )
    words = _UNUSABLE

    what: str  # a secret's name, a file
    why: str


class PscTestCertificate(PscIncomplete):
    """A test certificate would prove the service to the production of Pro Santé Connect (EX_GEN-1430)."""

    code = "psc.test_certificate"
    title = N_("Test certificate refused in production")
    detail = N_(
        "The certificate “{what}” is one of tests, and {why} is not known as a test environment; it was not shown."
    )
    remedy = N_("Configure the organisation's real certificate. If that is a test environment, set psc.sandbox = true.")
    words: ClassVar[Words] = {}  # ``why`` is the provider's host


class PscDirectNotAgreed(PscError):
    """This workstation may not hold the service's credentials: nobody says that ANS agreed."""

    code = "psc.direct_not_agreed"
    status = 503
    title = N_("Not without ANS's agreement")
    detail = N_(
        "This workstation is configured to speak to {host} by itself. ANS wants a service's credentials on the "
        "editor's server, and not on workstations."
    )
    remedy = N_(
        "Give the address of the editor's server (psc.proxy). On a server, or with ANS's written agreement, set "
        "psc.direct_agreed = true; for a test environment of your own, psc.sandbox = true."
    )

    host: str
