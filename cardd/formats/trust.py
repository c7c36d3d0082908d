"""Whether a certificate has a path to an authority that is configured (RFC 5280), by pyhanko-certvalidator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from asn1crypto import pem, x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from cardd.errors import ConfigInvalid


class TrustedAuthorities:
    """The certificates that a path may end at. Nothing is fetched: what is between comes with the signature."""

    def __init__(self, authorities: Iterable[bytes]) -> None:
        self._authorities = [x509.Certificate.load(der) for der in authorities]

    def trust(self, certificate: bytes, chain: tuple[bytes, ...], at: datetime) -> bool:
        """Whether this certificate (DER) had a path to one of them at that time, over those beside it.

        For a thread of its own, without an event loop.
        """
        context = ValidationContext(
            trust_roots=self._authorities,
            other_certs=[x509.Certificate.load(der) for der in chain],
            moment=at,
            allow_fetching=False,
            revocation_mode="soft-fail",
        )
        validator = CertificateValidator(x509.Certificate.load(certificate), validation_context=context)
        try:
            asyncio.run(validator.async_validate_path())
        except (PathError, ValidationError, ValueError):
            return False
        return True


def authorities_of(file: Path) -> list[bytes]:
    """The certificates (DER) of a PEM file. Raises ConfigInvalid when it cannot be read, or has none."""
    try:
        found = [der for kind, _, der in pem.unarmor(file.read_bytes(), multiple=True) if kind == "CERTIFICATE"]
        for der in found:
            x509.Certificate.load(der).native  # noqa: B018 - reads it wholly: a broken one is told here
    except (OSError, ValueError) as fault:
        raise ConfigInvalid(file=str(file), key="", why="unreadable", expected=type(fault).__name__) from fault
    if not found:
        raise ConfigInvalid(file=str(file), key="", why="unreadable", expected="CERTIFICATE")
    return found
