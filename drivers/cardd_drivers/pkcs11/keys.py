"""What a token's keys are for and can do, told from their certificates and from the token's mechanisms."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import (
    Certificate,
    ExtensionNotFound,
    InvalidVersion,
    KeyUsage,
    load_der_x509_certificate,
)

from cardd.model import Algorithm, KeyPurpose, KeyRef
from cardd.tlv import in_order
from cardd_drivers.pkcs11.wire import Description

RSA_PKCS, RSA_PKCS_PSS, ECDSA = 0x01, 0x0D, 0x1041  # CKM_…
# the official middleware's labels, for certificates that say nothing themselves (the card facts)
LABELS = {
    "Certificat de Signature CPS": KeyPurpose.SIGNATURE,
    "Certificat d'Authentification CPS": KeyPurpose.AUTHENTICATION,
    "Certificat Technique CPS": KeyPurpose.TECHNICAL,
}


def keys_of(description: Description) -> Iterator[KeyRef]:
    """The usable keys, in the token's order; ``reference`` is the certificate's place in it."""
    for place, found in enumerate(description.certificates):
        try:
            certificate = load_der_x509_certificate(in_order(found.der))
            algorithms = tuple(_algorithms(certificate, description.mechanisms))
        except (ValueError, TypeError, InvalidVersion):
            continue
        purpose = LABELS.get(found.label) or _purpose(certificate)
        if purpose and algorithms:
            yield KeyRef(found.id.hex(), found.label, purpose, place, algorithms, pin=0)


def _purpose(certificate: Certificate) -> KeyPurpose | None:
    """None for a certificate authority's, which a token may carry as its own chain."""
    try:
        usage = certificate.extensions.get_extension_for_class(KeyUsage).value
    except (ExtensionNotFound, ValueError):
        return None
    if usage.key_cert_sign:
        return None
    if usage.content_commitment:
        return KeyPurpose.SIGNATURE
    return KeyPurpose.AUTHENTICATION if usage.digital_signature else None


def _algorithms(certificate: Certificate, mechanisms: tuple[int, ...]) -> Iterator[Algorithm]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if RSA_PKCS in mechanisms:
            yield Algorithm.RS256
        if RSA_PKCS_PSS in mechanisms:
            yield Algorithm.PS256
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) and ECDSA in mechanisms:
        yield Algorithm.ES256
