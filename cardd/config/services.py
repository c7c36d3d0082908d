"""The sections on servers and authorities elsewhere: who logs people in, who is relayed to, who is believed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from cardd.config.kinds import (
    DAY,
    BaseUrl,
    Duration,
    HeaderName,
    HostName,
    HttpsUrl,
    HttpUrl,
    Kind,
    Port,
    Section,
    Unfit,
    UrlPath,
    Word,
)
from cardd.i18n import N_

BAS, PRODUCTION = "bas.psc.esante.gouv.fr", "esw.esante.gouv.fr"  # ANS's test environment, and the real one

# Headers by which a server behind a proxy learns who the client is, and those that belong to one connection.
FORGING = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-length|proxy-.*|via|forwarded|from"
    r"|x-forwarded.*|x-real-ip|true-client-ip|client-cert.*|.*ssl.*|.*client[-_].*|.*cert.*|.*remote[-_].*|.*-user.*"
    r"|cardd-.*|origin|referer|sec-.*|authorization|x-.*identity.*",
    re.IGNORECASE,
)

LOCAL = ("localhost", "127.0.0.1", "::1")
INSI_TESTS = re.compile(r"qualiflps[a-z-]*(\.services-ps)?\.ameli\.fr")  # as makers know them

# What cardd itself says to PSC in a request for a login, or must not say.
OWN_PARAMETERS = re.compile(
    r"response_(type|mode)|client_(id|secret|assertion|assertion_type)|redirect_uri|scope|acr_values|state|nonce"
    r"|code_challenge(_method)?|login_hint(_token)?|id_token_hint|binding_message|channel|kc_idp_hint|request(_uri)?"
    r"|grant_type|auth_req_id",
    re.IGNORECASE,
)

CONFIDENTIALITY = "urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code"

# The points on which the DMP's public sources differ, each with the values that some source has (docs/vihf.md).
DMP_POINTS: dict[str, tuple[str, ...]] = {
    "version": ("3.0", "4.0"),
    "mode_attribute": ("Authentification_mode", "Authentification_Mode"),
    "confidentiality_attribute": (CONFIDENTIALITY, "Confidentiality_code"),
    "role_tables": ("none", "words", "tables"),
    "access_table": ("mode acces VIHF 1.0", "mode acces VIHF 2.0"),
    "mobile_class": ("MobileTwoFactorUnregistered", "unspecified"),
    "air_declaration": ("CONF_EXI_PGSSIS", "APP_BROWSER_AUTH", "class"),
    "air_window": ("written", "unwritten"),
    "insi_specialty": ("codeSpecialite", "codeSpecialiteAMO", "CodeSpecialite"),
}


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
        return _pairs(self.parameters)

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find what Pro Santé Connect cannot be asked for, and keys without which no login could succeed."""
        for given in self.parameters:
            name, sign, _ = given.partition("=")
            if not (name and sign):
                yield "parameters", Unfit("type", "name=value")
            if OWN_PARAMETERS.fullmatch(name):
                yield "parameters", Unfit("own", name[:80])
        if "openid" not in self.scope.split():
            yield "scope", Unfit("missing", "openid")
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


class Upstream(Section, frozen=True):
    """One server behind the relay; ``name`` is the one in its section's title."""

    name: str = ""
    url: Annotated[
        BaseUrl,
        Meta(description=N_("The server's address; what a path of the relay is put after. Required.")),
    ] = ""
    paths: Annotated[
        tuple[UrlPath, ...],
        Meta(
            min_length=1,
            description=N_("The paths below the address that may be asked for, each with all that is below it."),
        ),
    ] = ("/",)
    methods: Annotated[
        tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], ...],
        Meta(min_length=1, description=N_("The HTTP methods that may be used.")),
    ] = ("GET", "HEAD", "POST", "PUT", "DELETE")
    headers: Annotated[
        tuple[HeaderName, ...],
        Meta(description=N_("Request headers that are passed on beside the usual ones; none that tells who asks.")),
    ] = ()
    authorities: Annotated[
        Path | None,
        Meta(description=N_("A PEM file with the authorities to trust for it; the system's when not set.")),
    ] = None
    tls: Annotated[
        Literal["1.2", "1.3"],
        Meta(description=N_("The least version of TLS; a CPS3 cannot do more than 1.2.")),
    ] = "1.2"
    consent: Annotated[
        Literal["ask", "login"],
        Meta(description=N_("Ask the user once a session, or take the login for the consent.")),
    ] = "ask"
    timeout: Annotated[
        Duration,
        Meta(ge=1, le=3600, description=N_("How long it may say nothing.")),
    ] = 60.0
    max_body: Annotated[
        int,
        Meta(ge=1024, le=1024**4, description=N_("Largest body of a request or of an answer, in bytes.")),
    ] = 256 * 1024 * 1024
    clock: Annotated[
        Duration,
        Meta(ge=1, le=DAY, description=N_("How far this machine's clock may be off the server's.")),
    ] = 60.0
    sandbox: Annotated[
        bool,
        Meta(
            description=N_(
                "Whether it is a test environment: test cards and fictitious people may go there, and nowhere else. "
                "INSi's own (qualiflps) and those on this machine are known."
            )
        ),
    ] = False

    @property
    def host(self) -> str:
        """The server's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The server's port."""
        return urlsplit(self.url).port or 443

    @property
    def is_test_environment(self) -> bool:
        """Whether test cards may go there: a configured sandbox, INSi's own, or a server on this machine."""
        return self.sandbox or self.host in LOCAL or INSI_TESTS.fullmatch(self.host) is not None

    @property
    def asks(self) -> bool:
        """Whether the user is asked, once a session."""
        return self.consent == "ask"

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find an address that is missing, and headers that would forge an identity."""
        if not self.url:
            yield "url", Unfit("missing", "https://…")
        yield from (("headers", Unfit("forging", name)) for name in self.headers if FORGING.fullmatch(name))


class Trust(Section, frozen=True):
    """How signatures are verified."""

    authorities: Annotated[
        Path | None,
        Meta(
            description=N_(
                "A PEM file of the authorities that signatures may end at (the IGC-Santé roots, as ANS publishes them)."
            )
        ),
    ] = None
    revocation: Annotated[
        Literal["online", "offline"],
        Meta(
            description=N_(
                "Whether the authorities are asked if a certificate was revoked; offline says that it is not known."
            )
        ),
    ] = "online"


class Timestamp(Section, frozen=True):
    """Timestamps by RFC 3161."""

    url: Annotated[
        HttpUrl | None,
        Meta(description=N_("The address of the timestamp authority; no timestamps without it.")),
    ] = None
    authorities: Annotated[
        Path | None,
        Meta(
            description=N_(
                "A PEM file of the authorities that its certificate may end at; trust.authorities when not set."
            )
        ),
    ] = None
    timeout: Annotated[
        Duration,
        Meta(ge=1, le=120, description=N_("How long it may take to answer.")),
    ] = 15.0


class Dmp(Section, frozen=True):
    """Assertions for the DMP (VIHF) and for INSi."""

    profile: Annotated[Literal["2024", "4.0"], Meta(description=N_("The choice of variants to start from."))] = "2024"
    points: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "Single points of the profile that are to be otherwise, as point=value (docs/vihf.md lists them)."
            )
        ),
    ] = ()
    window: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description=N_("How long a direct or indirect VIHF says that it lives, in seconds; 0: it does not say."),
        ),
    ] = 0
    labels: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "Words for codes of professions, savoir-faire and roles that are newer than cardd, as code=words."
            )
        ),
    ] = ()
    secret_code: Annotated[
        Word | None,
        Meta(description=N_("The confidentiality code of a secret connection; none is possible without it.")),
    ] = None
    insi_issuer: Annotated[
        Word | None,
        Meta(description=N_("The Issuer of an INSi assertion that nobody signs (e-CPS).")),
    ] = None

    @property
    def changes(self) -> dict[str, str]:
        """The points of the profile that are otherwise, with their values."""
        return _pairs(self.points)

    @property
    def words(self) -> dict[str, str]:
        """The words of the codes that are newer than cardd."""
        return _pairs(self.labels)

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find points that no profile has, and values that no source has."""
        for point, value in self.changes.items():
            values = DMP_POINTS.get(point)
            if values is None:
                yield "points", Unfit("choice", ", ".join(f'"{known}=…"' for known in DMP_POINTS))
            elif value not in values:
                yield "points", Unfit("choice", ", ".join(f'"{point}={known}"' for known in values))


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _pairs(entries: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}
