"""The section on Pro Santé Connect: who logs people in, by which way, and with what."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from cardd.config.kinds import (
    LOCAL,
    Duration,
    HostName,
    HttpsUrl,
    Kind,
    Port,
    Section,
    Unfit,
    UrlPath,
    Word,
    pairs,
)
from cardd.i18n import N_

BAS, PRODUCTION = "bas.psc.esante.gouv.fr", "esw.esante.gouv.fr"  # ANS's test environment, and the real one

# What cardd itself says to PSC in a request for a login, or must not say.
OWN_PARAMETERS = re.compile(
    r"response_(type|mode)|client_(id|secret|assertion|assertion_type)|redirect_uri|scope|acr_values|state|nonce"
    r"|code_challenge(_method)?|login_hint(_token)?|id_token_hint|binding_message|channel|kc_idp_hint|request(_uri)?"
    r"|grant_type|auth_req_id",
    re.IGNORECASE,
)


class Exchange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An API Pro Santé Connectée that takes tokens of its own (RFC 8693): whom to ask, PSC without, and for what."""

    name: Word
    endpoint: Word | None = None
    audience: Word | None = None
    scope: Word | None = None


_EXCHANGE = Kind(N_("table"), "type", '{ name = "…", endpoint = "…", audience = "…", scope = "…" }')


class Psc(Section, frozen=True):
    """Pro Santé Connect, for the login with e-CPS."""

    mode: Annotated[
        Literal["proxy", "direct"] | None,
        Meta(
            description=N_(
                "Who holds the service's credentials: the editor's server (proxy LPS), or this machine. Empty: the one "
                "whose address is given, psc.proxy or psc.issuer; without either, e-CPS is off."
            )
        ),
    ] = None
    direct_agreed: Annotated[
        bool,
        Meta(
            description=N_(
                "Whether this machine may hold the service's credentials: it is a server, or ANS agreed in writing. "
                "Test environments need no agreement."
            )
        ),
    ] = False
    sandbox: Annotated[
        bool,
        Meta(
            description=N_(
                "Whether the provider, or the editor's server, is a test environment: its people are told to be "
                "fictitious. ANS's own (BAS) and those on this machine are known."
            )
        ),
    ] = False
    issuer: Annotated[
        HttpsUrl | None,
        Meta(description=N_("The provider's issuer, to the letter.")),
    ] = None
    client_id: Annotated[Word | None, Meta(description=N_("The identifier of the registered service."))] = None
    authentication: Annotated[
        Literal["secret_basic", "secret_post", "private_key_jwt", "tls"],
        Meta(
            description=N_(
                "How the service proves itself. The secret is never here: entry psc-client-secret of the OS secrets."
            )
        ),
    ] = "secret_basic"
    certificate: Annotated[
        Path | None,
        Meta(
            description=N_(
                "The PKCS#12 file shown over TLS, which signs for private_key_jwt; password: entry psc-certificate."
            )
        ),
    ] = None
    organisation: Annotated[
        bool,
        Meta(
            description=N_(
                "Whether the organisation's authentication key (section csa, a file or a token) does so instead."
            )
        ),
    ] = False
    key_id: Annotated[
        Word | None,
        Meta(
            description=N_(
                "The name (kid) under which the provider knows the key of private_key_jwt; its thumbprint when not set."
            )
        ),
    ] = None
    authorities: Annotated[
        Path | None,
        Meta(description=N_("A PEM file with the authorities to trust for the provider; the system's when not set.")),
    ] = None
    extra_hosts: Annotated[
        tuple[HostName, ...],
        Meta(description=N_("Hosts outside the issuer's domain that its endpoints may be on.")),
    ] = ()
    redirect_port: Annotated[
        Port,
        Meta(
            description=N_(
                "The port on 127.0.0.1 that the browser comes back to, where one is registered; 0 for any free one."
            )
        ),
    ] = 0
    redirect_path: Annotated[UrlPath, Meta(description=N_("The path that the browser comes back to."))] = "/callback"
    acr: Annotated[
        Word | None,
        Meta(
            description=N_(
                "The least level of authentication (acr_values); a level with a higher number is good too. Empty: any."
            )
        ),
    ] = "eidas1"
    scope: Annotated[Word, Meta(description=N_("The scopes that are asked for, openid among them."))] = (
        "openid scope_all"
    )
    parameters: Annotated[
        tuple[Word, ...],
        Meta(description=N_("Further parameters of each request for a login, as name=value.")),
    ] = ()
    kc_idp_hint: Annotated[
        Word | None,
        Meta(
            description=N_(
                "The local identity provider that Pro Santé Connect's page is to lead to, in the browser (kc_idp_hint)."
            )
        ),
    ] = None
    redirect_issuer: Annotated[
        Literal["optional", "announced"],
        Meta(
            description=N_(
                "Whether the browser may come back without the issuer's name (iss), or not where the provider "
                "announces it (RFC 9207). A wrong one is always refused."
            )
        ),
    ] = "optional"
    proxy: Annotated[
        HttpsUrl | None,
        Meta(description=N_("The address of the editor's server, for mode proxy.")),
    ] = None
    proxy_timeout: Annotated[
        Duration,
        Meta(ge=5, le=600, description=N_("How long a login may take at the editor's server.")),
    ] = 120.0
    proxy_identity: Annotated[
        Word | None,
        Meta(
            description=N_("The path below /send/ where the editor's server gives PSC's userinfo; no names without it.")
        ),
    ] = None
    apis: Annotated[
        tuple[Annotated[Exchange, _EXCHANGE], ...],
        Meta(description=N_("The API that tokens may be exchanged for (RFC 8693), each a table [[psc.apis]].")),
    ] = ()

    @property
    def is_configured(self) -> bool:
        """Whether anybody can log in with e-CPS."""
        return bool(self.client_id and self._address)

    @property
    def by_proxy(self) -> bool:
        """Whether the editor's server speaks to Pro Santé Connect, and not this machine."""
        return self.mode == "proxy" or (self.mode is None and self.proxy is not None)

    @property
    def is_test_environment(self) -> bool:
        """Whether the people there are fictitious: a configured sandbox, ANS's own (BAS), or one on this machine."""
        return self.sandbox or _is_within(self.host, BAS) or self.host in LOCAL

    @property
    def is_agreed(self) -> bool:
        """Whether ANS lets this machine log in so: its credentials live on a server, and not on a workstation."""
        return self.by_proxy or self.direct_agreed or self.is_test_environment

    @property
    def host(self) -> str:
        """The machine that is spoken to: PSC's, or the editor's."""
        return urlsplit(self._address or "").hostname or ""

    @property
    def _address(self) -> str | None:
        return self.proxy if self.by_proxy else self.issuer

    @property
    def exchanges(self) -> dict[str, Exchange]:
        """The API by their names."""
        return {api.name: api for api in self.apis}

    @property
    def extra_parameters(self) -> dict[str, str]:
        """The further parameters by their names."""
        return pairs(self.parameters)

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find what Pro Santé Connect cannot be asked for, and keys without which no login could succeed."""
        for given in self.parameters:
            name, sign, _ = given.partition("=")
            if not (name and sign):
                yield "parameters", Unfit("type", "name=value")
            if OWN_PARAMETERS.fullmatch(name):
                yield "parameters", Unfit("own", name[:80])
        if "openid" not in self.scope.split():
            yield "scope", Unfit("type", '"openid …"')
        if self.acr is not None and self.acr.split() != [self.acr]:
            yield "acr", Unfit("type", '"eidas1"')
        yield from self._lacking()

    def _lacking(self) -> Iterator[tuple[str, Unfit]]:
        if self.mode is None and self.proxy and self.issuer:
            yield "mode", Unfit("missing", '"proxy", "direct"')
        if self.by_proxy and self.proxy is None:
            yield "proxy", Unfit("missing", "https://…")
        if self.sandbox and _is_within(urlsplit(self.issuer or "").hostname or "", PRODUCTION):
            yield "sandbox", Unfit("production", PRODUCTION)
        if not self.by_proxy and self.issuer is None:
            return
        if self.client_id is None:
            yield "client_id", Unfit("missing", '"…"')
        by_certificate = not self.by_proxy and self.authentication in ("tls", "private_key_jwt")
        if by_certificate and self.certificate is None and not self.organisation:
            yield "certificate", Unfit("missing", '"/….p12", organisation = true')


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
