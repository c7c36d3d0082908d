"""The certificate that a XAdES signature names among what it signs, as each version of XAdES writes it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from cardd.formats.certificate import KEYWORDS, facts_of
from cardd.formats.xml import Element
from cardd.formats.xmldsig import DS, XADES, add, add_digest


def add_signing_certificate_v2(parent: Element, certificate: bytes) -> None:
    """SigningCertificateV2 (ETSI EN 319 132-1, section 5.2.2): the signer's digest."""
    cert = add(add(parent, XADES, "SigningCertificateV2"), XADES, "Cert")
    add_digest(add(cert, XADES, "CertDigest"), DS, sha256(certificate).digest())


def add_signing_certificate(parent: Element, certificates: Iterable[bytes], *, version: str, digests: str) -> None:
    """SigningCertificate: digest, issuer and serial number of each, the signer first.

    ``version`` is the namespace of XAdES, ``digests`` that of the digest's elements: they are the same in 1.1.1 only.
    """
    listed = add(parent, version, "SigningCertificate")
    for certificate in certificates:
        cert = add(listed, version, "Cert")
        add_digest(add(cert, version, "CertDigest"), digests, sha256(certificate).digest())
        facts = facts_of(certificate)
        issuer = add(cert, version, "IssuerSerial")
        add(issuer, DS, "X509IssuerName", facts.issuer.written(KEYWORDS, is_strict=True), prefixes={"ds": DS})
        add(issuer, DS, "X509SerialNumber", str(facts.number), prefixes={"ds": DS})
