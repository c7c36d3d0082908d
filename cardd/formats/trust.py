"""Whether a certificate has a path to an authority that is configured (RFC 5280), by pyhanko-certvalidator.

Whoever sends a document picks the certificates that come with it. Paths through them all would be as many as their
permutations: eight certificates of one name and one key keep pyhanko-certvalidator busy for ten seconds. So only those
are handed to it that an authority has vouched for, itself or through others, which nobody else can make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from asn1crypto import pem, x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import (
    ExpiredError,
    NotYetValidError,
    PathBuildingError,
    PathError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator

from cardd.errors import CardGarbled, ConfigInvalid
from cardd.files import LISTS, NO_FILE, read_file
from cardd.formats.certificate import facts_of
from cardd.formats.document import UNREADABLE

UNUSABLE = (UnsupportedAlgorithm, *UNREADABLE)  # a key on a curve that nobody knows, too
LOOKED_AT_MAX = 64  # certificates
FOUND_MAX = 5
_validator = DefaultSignatureValidator()


class NoPath(StrEnum):
    """Why there is no path that counts.

    AUTHORITY: none leads to a configured one. EXPIRED, EARLY: there is one, and at that time one of its certificates
    was no longer valid, or not yet. REFUSED: there is one, and it breaks a rule (an algorithm, a short key, a use, a
    constraint).
    """

    AUTHORITY = "authority"
    EXPIRED = "expired"
    EARLY = "early"
    REFUSED = "refused"


class TrustedAuthorities:
    """The certificates that a path may end at. Nothing is fetched: what is between comes with the signature."""

    def __init__(self, authorities: Iterable[bytes]) -> None:
        self._authorities = [x509.Certificate.load(der) for der in authorities]

    def trust(self, certificate: bytes, chain: tuple[bytes, ...], at: datetime) -> bool:
        """Return whether this certificate (DER) had a path to one of them at that time, over those beside it.

        For a thread of its own, without an event loop.
        """
        return isinstance(self.path(certificate, chain, at), ValidationPath)

    def path(self, certificate: bytes, chain: tuple[bytes, ...], at: datetime) -> ValidationPath | NoPath:
        """The path itself, or why there is none. Says nothing of revocation. For a thread, as ``trust``."""
        try:
            context = ValidationContext(
                trust_roots=self._authorities,
                other_certs=vouched_for(chain, self._authorities),
                moment=at,
                allow_fetching=False,
                revocation_mode="soft-fail",
            )
            signer = x509.Certificate.load(certificate, strict=True)
            validator = CertificateValidator(signer, validation_context=context)
            return _of_good_keys(asyncio.run(validator.async_validate_path()))
        except PathBuildingError:
            return NoPath.AUTHORITY
        except ExpiredError:
            return NoPath.EXPIRED
        except NotYetValidError:
            return NoPath.EARLY
        except (PathError, ValidationError, CardGarbled, *UNUSABLE):
            return NoPath.REFUSED


def _of_good_keys(path: ValidationPath) -> ValidationPath | NoPath:
    """Refuse what pyhanko-certvalidator takes: an authority's short key that is none of RSA, a curve of one's own."""
    below = [facts_of(one.dump()) for one in path.iter_certs(include_root=False)]
    is_weak = any(issuer.has_weak_key for issuer in below[:-1]) or any(one.has_own_curve for one in below)
    return NoPath.REFUSED if is_weak else path


def name_of(certificate: x509.Certificate) -> str:
    """Return the subject for people: the common name, all of it where there is none, ``?`` where it cannot be read."""
    try:
        common = certificate.subject.native.get("common_name")
        return common if isinstance(common, str) else str(certificate.subject.human_friendly)
    except UNREADABLE:
        return "?"


def authorities_of(file: Path) -> list[bytes]:
    """The certificates (DER) of a PEM file. Raises ConfigInvalid when it cannot be read, or has none."""
    try:
        found = [der for kind, _, der in pem.unarmor(read_file(file, LISTS), multiple=True) if kind == "CERTIFICATE"]
        for der in found:
            x509.Certificate.load(der).native  # noqa: B018 - reads it wholly: a broken one is told here
    except (OSError, *UNREADABLE) as fault:
        why = "no_file" if isinstance(fault, OSError) and fault.errno == NO_FILE else "unreadable"
        raise ConfigInvalid(file=str(file), key="", why=why, expected=type(fault).__name__) from fault
    if not found:
        raise ConfigInvalid(file=str(file), key="", why="unreadable", expected="CERTIFICATE")
    return found


def vouched_for(chain: Iterable[bytes], authorities: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The authorities' own authorities among these (DER), and theirs; what cannot be read is left out."""
    left = [read for der in list(dict.fromkeys(chain))[:LOOKED_AT_MAX] if (read := _authority(der)) is not None]
    found: list[x509.Certificate] = []
    issuers = list(authorities)
    while issuers and len(found) < FOUND_MAX:
        issuers = [one for one in left if any(_issued(one, issuer) for issuer in issuers)]
        left = [one for one in left if one not in issuers]
        found += issuers
    return found[:FOUND_MAX]


def _authority(der: bytes) -> x509.Certificate | None:
    """The certificate, where it says that it may issue others."""
    try:
        certificate = x509.Certificate.load(der, strict=True)
        constraints = certificate.basic_constraints_value
        return certificate if constraints is not None and constraints["ca"].native else None
    except UNREADABLE:
        return None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        if certificate.issuer != issuer.subject:
            return False
        _validator.validate_signature(
            signature=certificate["signature_value"].native,
            signed_data=certificate["tbs_certificate"].dump(),
            public_key_info=issuer.public_key,
            signature_algorithm=certificate["signature_algorithm"],
        )
    except (InvalidSignature, *UNUSABLE):
        return False
    return True
