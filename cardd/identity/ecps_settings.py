"""What the configuration says of Pro Santé Connect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class EcpsSettings:
    """One service at PSC.

    ``certificate`` is the PKCS#12 file that it shows over TLS; ``authorities`` a PEM file to check PSC's own with.
    """

    issuer: str
    client_id: str
    authentication: Literal["secret_basic", "secret_post", "tls"] = "secret_basic"
    certificate: Path | None = None
    authorities: Path | None = None
    extra_hosts: tuple[str, ...] = ()
