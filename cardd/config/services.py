"""The sections on servers and authorities elsewhere: who is relayed to, who is believed, what the DMP is told."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from cardd.config.kinds import (
    DAY,
    LOCAL,
    Duration,
    ForwardProxy,
    HeaderName,
    HttpUrl,
    Section,
    Unfit,
    UpstreamUrl,
    UrlPath,
    Word,
    pairs,
)
from cardd.i18n import N_

# Headers by which a server behind a proxy learns who the client is, and those that belong to one connection.
FORGING = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-length|proxy-.*|via|forwarded|from"
    r"|x-forwarded.*|x-real-ip|true-client-ip|client-cert.*|.*ssl.*|.*client[-_].*|.*cert.*|.*remote[-_].*|.*-user.*"
    r"|cardd-.*|origin|referer|sec-.*|authorization|x-.*identity.*",
    re.IGNORECASE,
)

INSI_TESTS = re.compile(r"qualiflps[a-z-]*(\.services-ps)?\.ameli\.fr")  # as makers know them

CONFIDENTIALITY = "urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code"

HIDDEN_CONNECTION = "INVISIBLE_REPRESENTANTS_LEGAUX"  # table 1.2.250.1.213.1.1.4.13; EX_0.1-1100, as a maker quotes it

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


class Network(Section, frozen=True):
    """How servers elsewhere are reached."""

    proxy: Annotated[
        ForwardProxy,
        Meta(
            description=N_(
                "The network's forward proxy, for all that cardd sends to other machines: its address, none, or what "
                "the service's environment says (https_proxy, http_proxy, no_proxy)."
            )
        ),
    ] = "none"
    proxy_user: Annotated[
        Word | None,
        Meta(
            description=N_(
                "The user for that proxy. The password is never here: entry network-proxy-password of the OS secrets."
            )
        ),
    ] = None
    no_proxy: Annotated[
        tuple[Word, ...],
        Meta(
            description=N_(
                "Hosts, domains (.example), addresses and networks (10.0.0.0/8) that are reached without the proxy; "
                "this machine is always."
            )
        ),
    ] = ()
    authorities: Annotated[
        Path | None,
        Meta(
            description=N_(
                "A PEM file of authorities to trust besides the system's, for a network that opens connections; what "
                "has authorities of its own trusts these alone."
            )
        ),
    ] = None


class Upstream(Section, frozen=True):
    """One server behind the relay; ``name`` is the one in its section's title."""

    name: str = ""
    url: Annotated[
        UpstreamUrl,
        Meta(description=N_("The server's address; what a path of the relay is put after. Required.")),
    ] = ""
    kind: Annotated[
        Literal["https", "tls"],
        Meta(
            description=N_(
                "How it is spoken to: requests of HTTP, or tls, tunnels for any protocol (mail), whose address is "
                "tls://host:port."
            )
        ),
    ] = "https"
    starttls: Annotated[
        Literal["none", "imap", "smtp"],
        Meta(description=N_("The protocol of a tunnel whose server begins without TLS and is asked for it.")),
    ] = "none"
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
    revocation: Annotated[
        Literal["require", "check", "off"],
        Meta(
            description=N_(
                "Whether the authorities are asked if the server's certificate was revoked; require refuses the server "
                "where nobody tells."
            )
        ),
    ] = "check"
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
        """Find an address that is missing or of another kind, and headers that would forge an identity."""
        if not self.url:
            yield "url", Unfit("missing", f"{self.kind}://…")
        elif not self.url.startswith(f"{self.kind}://"):
            yield "url", Unfit("https", f"{self.kind}://… (kind)")
        if self.starttls != "none" and self.kind != "tls":
            yield "starttls", Unfit("choice", '"none" (kind)')
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
        Meta(
            description=N_(
                "The confidentiality code of a secret connection, which the patient's legal representatives do not "
                "see; none is possible without it."
            )
        ),
    ] = HIDDEN_CONNECTION
    insi_issuer: Annotated[
        Word | None,
        Meta(description=N_("The Issuer of an INSi assertion that nobody signs (e-CPS).")),
    ] = None

    @property
    def changes(self) -> dict[str, str]:
        """The points of the profile that are otherwise, with their values."""
        return pairs(self.points)

    @property
    def words(self) -> dict[str, str]:
        """The words of the codes that are newer than cardd."""
        return pairs(self.labels)

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find points that no profile has, and values that no source has."""
        for point, value in self.changes.items():
            values = DMP_POINTS.get(point)
            if values is None:
                yield "points", Unfit("choice", ", ".join(f'"{known}=…"' for known in DMP_POINTS))
            elif value not in values:
                yield "points", Unfit("choice", ", ".join(f'"{point}={known}"' for known in values))
