"""A raw signature: the bare value over a document's SHA-256, and a certificate that comes beside it."""

from __future__ import annotations

from typing import BinaryIO

from asn1crypto import algos, pem, x509

from cardd.errors import DocumentMalformed
from cardd.formats.document import sha256_of
from cardd.formats.reading import reading
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.formats.verifying.keys import accepts

CERTIFICATES_MAX = 16
NUMBERS = 64  # bytes of an ES256 value: two numbers (RFC 7518, section 3.4)


def verify_raw(document: BinaryIO, value: bytes, certificates: bytes) -> VerifiedSignature:
    """By RS256, PS256 or ES256, whichever holds; ``certificates``, PEM or DER, begin with the signer's.

    Raises DocumentMalformed when there is no certificate in them.
    """
    with reading(DocumentMalformed(format="X.509")):
        signer, *others = _certificates(certificates)
        key = signer.public_key
        names = ("RS256", "PS256") if key.algorithm in ("rsa", "rsassa_pss") else ("ES256",)
        if names == ("ES256",) and len(value) == NUMBERS:
            value = algos.DSASignature.from_p1363(value).dump()
    digest = sha256_of(document)
    held = [name for name in names if accepts(key.dump(), name, value, digest)]
    return VerifiedSignature(
        format=Format.RAW,
        certificate=signer.dump(),
        chain=tuple(other.dump() for other in others),
        algorithm=(held or names)[0],
        scope=Scope.DETACHED,
        digest=digest,
        flaw=None if held else Flaw.SIGNATURE,
    )


def _certificates(given: bytes) -> list[x509.Certificate]:
    """One at least, each read as a whole. Raises what a decoder does."""
    found = [given]
    if pem.detect(given):
        found = [der for kind, _, der in pem.unarmor(given, multiple=True) if kind == "CERTIFICATE"]
    if not 1 <= len(found) <= CERTIFICATES_MAX:
        raise ValueError(len(found))
    read = [x509.Certificate.load(der, strict=True) for der in found]
    for certificate in read:
        certificate.native  # noqa: B018 - reads it wholly
    return read
