"""What the configuration says of Pro Santé Connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

BAS = "bas.psc.esante.gouv.fr"


@dataclass(frozen=True, slots=True)
class Exchange:
    """An API Pro Santé Connectée that takes tokens of its own (RFC 8693): whom to ask, PSC without, and for what."""

    endpoint: str | None = None
    audience: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """The editor's server, which holds the credentials: its address, and the seconds that a login may take there.

    ``identity`` is the path below ``/send/`` that answers with PSC's userinfo, where the editor offers one.
    """

    url: str
    timeout: float = 120.0
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class EcpsSettings:
    """One service at PSC, or at its editor's server (``proxy``).

    ``certificate`` is the PKCS#12 file that it shows over TLS, or signs its assertions with, and ``organisation`` has
    the organisation's authentication key do so; PSC knows the key by ``key_id``, or by the certificate.
    ``authorities`` is a PEM file to check the other side's certificate with. The browser comes back to
    ``redirect_port``, 0 for any, and ``redirect_path``.
    """

    issuer: str
    client_id: str
    authentication: Literal["secret_basic", "secret_post", "private_key_jwt", "tls"] = "secret_basic"
    certificate: Path | None = None
    organisation: bool = False
    key_id: str | None = None
    authorities: Path | None = None
    extra_hosts: tuple[str, ...] = ()
    redirect_port: int = 0
    redirect_path: str = "/callback"
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)
    proxy: ProxySettings | None = None

    @property
    def is_sandbox(self) -> bool:
        """Whether the people there are fictitious: ANS's sandbox (BAS), or a provider on this machine."""
        host = urlsplit(self.issuer).hostname or ""
        return host == BAS or host.endswith("." + BAS) or host in ("localhost", "127.0.0.1", "::1")
