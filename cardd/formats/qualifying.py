"""The certificate that a XAdES signature names among what it signs, as each version of XAdES writes it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from asn1crypto import x509

from cardd.formats.xml import Element
from cardd.formats.xmldsig import DS, XADES, add, add_digest

NAMES = {
    "2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C",
    "2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}  # fmt: skip
SPECIAL = ',+"\\<>;'


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
        read = x509.Certificate.load(certificate)
        issuer = add(cert, version, "IssuerSerial")
        add(issuer, DS, "X509IssuerName", name_of(read.issuer), prefixes={"ds": DS})
        add(issuer, DS, "X509SerialNumber", str(read.serial_number), prefixes={"ds": DS})


def name_of(name: x509.Name) -> str:
    """A distinguished name as RFC 2253 writes it; several values of one part too, as older cards have them."""
    return ",".join("+".join(_attribute(part) for part in parts) for parts in reversed(name.chosen))


def _attribute(part: x509.NameTypeAndValue) -> str:
    oid = part["type"].dotted
    return f"{NAMES[oid]}={_escaped(part.native['value'])}" if oid in NAMES else f"{oid}=#{part['value'].dump().hex()}"


def _escaped(value: str) -> str:
    text = "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in value)
    if text.endswith(" ") and len(text) > 1:
        text = f"{text[:-1]}\\ "
    return f"\\{text}" if text.startswith((" ", "#")) else text
