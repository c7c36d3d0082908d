"""One SignerInfo of a CMS message (RFC 5652, section 5.6): of a document, or of a timestamp."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asn1crypto import algos, cms, tsp, x509

from cardd.errors import DocumentMalformed, DocumentUnsupported
from cardd.formats.verified import Flaw
from cardd.formats.verifying.keys import accepts

DIGESTS = {"sha256": "256", "sha384": "384", "sha512": "512"}
KINDS = {"rsassa_pkcs1v15": "RS", "rsassa_pss": "PS", "ecdsa": "ES"}

DigestOf = Callable[[str], bytes]
"""The digest of the content by the hash that hashlib has under this name."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a SignerInfo says: ``algorithm`` by its JOSE name; ``attributes`` are the signed ones by name."""

    certificate: x509.Certificate
    algorithm: str
    attributes: dict[str, cms.CMSAttribute]
    flaw: Flaw | None


def certificates_of(message: cms.SignedData) -> list[x509.Certificate]:
    """The X.509 certificates that came with it."""
    return [choice.chosen for choice in message["certificates"] or () if choice.name == "certificate"]


def judge(
    info: cms.SignerInfo, certificates: Sequence[x509.Certificate], content_type: str, digest_of: DigestOf
) -> Judged:
    """Whether the signature is of its certificate's key and of this content.

    Raises DocumentUnsupported for a hash or algorithm that is not accepted or a certificate that is not there,
    DocumentMalformed, ValueError and TypeError for what is no SignerInfo.
    """
    certificate = _certificate(info["sid"], certificates)
    hashed = info["digest_algorithm"]["algorithm"].native
    algorithm = _algorithm(info["signature_algorithm"], hashed)
    attributes = _by_name(info["signed_attrs"] or ())
    content = digest_of(hashed)
    flaw = _attribute_flaw(attributes, certificate, content_type, content) if attributes else None
    if flaw is None:
        signed = hashlib.new(hashed, info["signed_attrs"].untag().dump()).digest() if attributes else content
        if not accepts(certificate.public_key.dump(), algorithm, info["signature"].native, signed):
            flaw = Flaw.SIGNATURE
    return Judged(certificate, algorithm, attributes, flaw)


def _certificate(sid: cms.SignerIdentifier, certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    for certificate in certificates:
        if sid.name == "subject_key_identifier":
            if certificate.key_identifier == sid.chosen.native:
                return certificate
        elif (certificate.issuer, certificate.serial_number) == (
            sid.chosen["issuer"],
            sid.chosen["serial_number"].native,
        ):
            return certificate
    raise DocumentUnsupported(format="CMS", what="certificate")


def _algorithm(algorithm: algos.SignedDigestAlgorithm, hashed: str) -> str:
    """Its JOSE name. A hash of its own that is another than the SignerInfo's is refused."""
    try:
        if _hashes(algorithm) <= {hashed}:
            return KINDS[algorithm.signature_algo] + DIGESTS[hashed]
    except (KeyError, ValueError):
        pass
    raise DocumentUnsupported(format="CMS", what=f"{algorithm['algorithm'].native}, {hashed}")


def _hashes(algorithm: algos.SignedDigestAlgorithm) -> set[str]:
    """The hashes that the algorithm names; none for RSA and ECDSA alone."""
    if algorithm["algorithm"].native == "rsassa_pss":
        parameters = algorithm["parameters"]
        mask = parameters["mask_gen_algorithm"]["parameters"]
        return {parameters["hash_algorithm"]["algorithm"].native, mask["algorithm"].native}
    return set() if algorithm["algorithm"].native in ("rsassa_pkcs1v15", "ecdsa") else {algorithm.hash_algo}


def _by_name(attributes: Sequence[cms.CMSAttribute]) -> dict[str, cms.CMSAttribute]:
    """Each attribute may be there once, with one value (RFC 5652, section 11)."""
    named = {attribute["type"].native: attribute for attribute in attributes}
    if len(named) != len(attributes) or any(len(attribute["values"]) != 1 for attribute in attributes):
        raise DocumentMalformed(format="CMS")
    return named


def _attribute_flaw(
    attributes: dict[str, cms.CMSAttribute], certificate: x509.Certificate, content_type: str, content: bytes
) -> Flaw | None:
    if not {"content_type", "message_digest"} <= attributes.keys():
        raise DocumentMalformed(format="CMS")
    told = attributes["content_type"]["values"][0].native, attributes["message_digest"]["values"][0].native
    if told[0] != content_type or not hmac.compare_digest(told[1], content):
        return Flaw.CONTENT
    if not all(_names(reference, certificate) for reference in _references(attributes)):
        return Flaw.CERTIFICATE
    return None


def _references(attributes: dict[str, cms.CMSAttribute]) -> list[tsp.ESSCertID | tsp.ESSCertIDv2]:
    """What the ESS attributes say of the signing certificate, which stands first in each (RFC 5035)."""
    named = (attributes.get(name) for name in ("signing_certificate", "signing_certificate_v2"))
    return [attribute["values"][0]["certs"][0] for attribute in named if attribute]


def _names(reference: tsp.ESSCertID | tsp.ESSCertIDv2, certificate: x509.Certificate) -> bool:
    hashed = reference["hash_algorithm"]["algorithm"].native if isinstance(reference, tsp.ESSCertIDv2) else "sha1"
    digest = hashlib.new(hashed, certificate.dump(), usedforsecurity=False).digest()
    return hmac.compare_digest(digest, reference["cert_hash"].native)
