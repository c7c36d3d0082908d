"""Which of the certificates that come with a signature can be between it and an authority.

Whoever sends a document picks these. Paths through them all would be as many as their permutations: eight
certificates of one name and one key keep pyhanko-certvalidator busy for ten seconds. So only those are handed to it
that an authority has vouched for, itself or through others, which nobody else can make.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from asn1crypto import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator

from cardd.formats.reading import UNREADABLE

LOOKED_AT_MAX = 64  # certificates
FOUND_MAX = 5
_validator = DefaultSignatureValidator()


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
    if certificate.issuer != issuer.subject:
        return False
    try:
        _validator.validate_signature(
            signature=certificate["signature_value"].native,
            signed_data=certificate["tbs_certificate"].dump(),
            public_key_info=issuer.public_key,
            signature_algorithm=certificate["signature_algorithm"],
        )
    except (InvalidSignature, UnsupportedAlgorithm, *UNREADABLE):
        return False
    return True
