"""Judges an enveloped XML signature over a SAML assertion by hand: W3C XML Signature and the DMP's profile of it.

Written from the VIHF facts and the W3C's texts; shares nothing with what makes assertions. Reads older senders too:
RSA-SHA1, and an InclusiveNamespaces PrefixList, whose digest depends on the message around the assertion.
"""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

Xml = Any  # an lxml element, which has no types

NS = {"ds": "http://www.w3.org/2000/09/xmldsig#", "saml": "urn:oasis:names:tc:SAML:2.0:assertion"}
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
MALFORMED = (  # what reading XML, base64, times and certificates from outside may raise
    ValueError,
    TypeError,
    etree.LxmlError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
TRANSFORMS = ["http://www.w3.org/2000/09/xmldsig#enveloped-signature", EXC_C14N]
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
}
METHODS: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": hashes.SHA256(),
    "http://www.w3.org/2000/09/xmldsig#rsa-sha1": hashes.SHA1(),  # noqa: S303 - read only: older senders sign so
}


def parsed(document: bytes) -> Xml:
    """Return the root of XML from outside: no DTD, no entities, libxml2's limits. Raises ValueError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as fault:
        raise ValueError("malformed") from fault
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("doctype")
    return root


def read(document: bytes) -> Xml | None:
    """Return the assertion, bare or somewhere in a message; None when there is not exactly one. Raises ValueError."""
    root = parsed(document)
    found = root.xpath("descendant-or-self::saml:Assertion", namespaces=NS)
    return found[0] if len(found) == 1 else None


def certificate_of(assertion: Xml) -> x509.Certificate | None:
    """Return the certificate that the signature carries."""
    found = assertion.xpath("ds:Signature/ds:KeyInfo/ds:X509Data/ds:X509Certificate", namespaces=NS)
    return x509.load_der_x509_certificate(base64.b64decode(found[0].text)) if found else None


def wrong_in_signature(assertion: Xml) -> Iterator[str]:
    """Yield what is wrong with the signature, a word each."""
    signatures = assertion.xpath("ds:Signature", namespaces=NS)
    if len(signatures) != 1:
        yield "signature.count"
        return
    if assertion.index(signatures[0]) != 1:
        yield "signature.place"
    if signatures[0].xpath(".//ds:KeyValue", namespaces=NS):
        yield "signature.key_value"
    yield from _wrong_in_profile(assertion, signatures[0])
    yield from _wrong_in_digest(assertion)
    yield from _wrong_in_value(assertion, signatures[0])


def _wrong_in_profile(assertion: Xml, signature: Xml) -> Iterator[str]:
    references = signature.xpath("ds:SignedInfo/ds:Reference", namespaces=NS)
    if len(references) != 1 or references[0].get("URI") != "#" + assertion.get("ID", ""):
        yield "signature.reference"
    transforms = signature.xpath("ds:SignedInfo/ds:Reference/ds:Transforms/ds:Transform/@Algorithm", namespaces=NS)
    if transforms != TRANSFORMS:
        yield "signature.transforms"
    if _algorithm(signature, "CanonicalizationMethod") != EXC_C14N:
        yield "signature.canonicalization"


def _wrong_in_digest(assertion: Xml) -> Iterator[str]:
    """Yield what is wrong with the digest of the assertion without its signature, in its place in the message."""
    message = copy.deepcopy(assertion.getroottree().getroot())
    copied = message.xpath("descendant-or-self::saml:Assertion", namespaces=NS)[0]
    signature = copied.find("ds:Signature", NS)
    told = signature.findtext("ds:SignedInfo/ds:Reference/ds:DigestValue", "", NS)
    digest = DIGESTS.get(_algorithm(signature, "Reference/ds:DigestMethod"))
    prefixes = _prefixes(signature.xpath("ds:SignedInfo/ds:Reference/ds:Transforms", namespaces=NS))
    before = signature.getprevious()
    if before is None:
        copied.text = (copied.text or "") + (signature.tail or "") or None
    else:
        before.tail = (before.tail or "") + (signature.tail or "") or None
    copied.remove(signature)
    if digest is None or hashlib.new(digest, _c14n(copied, prefixes)).digest() != base64.b64decode(told):
        yield "signature.digest"


def _wrong_in_value(assertion: Xml, signature: Xml) -> Iterator[str]:
    certificate = certificate_of(assertion)
    method = METHODS.get(_algorithm(signature, "SignatureMethod"))
    if certificate is None or method is None:
        yield "signature.method" if method is None else "signature.certificate"
        return
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        yield "signature.key"
        return
    signed_info = signature.find("ds:SignedInfo", NS)
    prefixes = _prefixes(signed_info.xpath("ds:CanonicalizationMethod", namespaces=NS))
    value = base64.b64decode(signature.findtext("ds:SignatureValue", "", NS))
    try:
        key.verify(value, _c14n(signed_info, prefixes), padding.PKCS1v15(), method)
    except InvalidSignature:
        yield "signature.value"


def _algorithm(signature: Xml, name: str) -> str:
    found = signature.find(f"ds:SignedInfo/ds:{name}", NS)
    return "" if found is None else str(found.get("Algorithm"))


def _prefixes(around: list[Xml]) -> list[str]:
    lists = [each for one in around for each in one.xpath(".//*[local-name()='InclusiveNamespaces']/@PrefixList")]
    return [prefix for one in lists for prefix in one.split()]


def _c14n(element: Xml, prefixes: list[str]) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes)
