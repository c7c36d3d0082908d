"""Whether a certificate may sign a document at all: checked before anybody is asked for a PIN."""

from __future__ import annotations

from datetime import datetime

from asn1crypto import x509

from cardd.errors import AlgorithmUnsupported, SigningCertificateUsage
from cardd.formats.prepared import Signer
from cardd.formats.validity import require_valid
from cardd.model import Algorithm

P256 = "secp256r1"


def require_signing_certificate(signer: Signer, now: datetime) -> None:
    """Refuse a certificate that is out of its time, not for documents, or of a key that cannot sign this way.

    Raises SigningCertificateExpired, SigningCertificateNotYetValid, SigningCertificateUsage, AlgorithmUnsupported.
    Source: the VIHF facts, section 5 (nonRepudiation); RFC 5280, sections 4.1.2.5 and 4.2.1.3.
    """
    # asn1crypto: cryptography refuses some older cards' certificates, for their multi-valued RDNs
    certificate = x509.Certificate.load(signer.certificate)
    require_valid(certificate.not_valid_before, certificate.not_valid_after, now)
    usage = certificate.key_usage_value
    if usage is None or "non_repudiation" not in usage.native:
        raise SigningCertificateUsage
    if not _can(certificate.public_key, signer.algorithm):
        raise AlgorithmUnsupported(algorithm=signer.algorithm)


def _can(key: x509.PublicKeyInfo, algorithm: Algorithm) -> bool:
    match algorithm:
        case Algorithm.RS256:
            return bool(key.algorithm == "rsa")
        case Algorithm.PS256:
            return key.algorithm in ("rsa", "rsassa_pss")
        case Algorithm.ES256:
            return bool(key.algorithm == "ec" and key.curve == ("named", P256))
