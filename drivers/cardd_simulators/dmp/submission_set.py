"""Judges the signature of a submission set: XML Signature by hand, IHE's Manifest, XAdES 1.1.1.

Written from the facts about the DMP and the W3C's texts; shares nothing with what makes such signatures.
"""

from __future__ import annotations

import copy
import hashlib
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from cardd_simulators.assertions import can_sign
from cardd_simulators.xmldsig import DIGESTS, MALFORMED, METHODS, NS, Xml, parsed

XADES = "http://uri.etsi.org/01903/v1.1.1#"
ALL = {**NS, "x": XADES}
C14N_COMMENTS = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"
PARTS = (  # URI, Type, and where it is
    ("#IHEManifest", "http://www.w3.org/2000/09/xmldsig#Manifest", "ds:Object[1]/ds:Manifest[@Id='IHEManifest']"),
    (
        "#S0-SignedProperties",
        f"{XADES}SignedProperties",
        "ds:Object[3]/x:QualifyingProperties/x:SignedProperties[@Id='S0-SignedProperties']",
    ),
)
NO_OCTETS = "AA=="  # the set's own digest: one zero byte
PURPOSE = "1.2.840.10065.1.12.1.14"
SKEW = timedelta(minutes=1)


def wrong_in_submission_set(
    document: bytes, set_id: str, documents: Mapping[str, bytes], now: datetime, signer: x509.Certificate | None = None
) -> list[str]:
    """Return what is wrong with the signature of the set ``set_id`` with these documents by uniqueId, a word each.

    ``signer`` is whose signature is wanted; None: anybody's.
    """
    try:
        signature = parsed(document)
        if signature.tag != f"{{{NS['ds']}}}Signature":
            return ["set.root"]
        return [
            *_wrong_in_value(signature),
            *_wrong_in_references(signature),
            *_wrong_in_manifest(signature, set_id, documents),
            *_wrong_in_properties(signature, now),
            *_wrong_in_signer(signature, now, signer),
        ]
    except MALFORMED:
        return ["set.malformed"]


def certificate_of(signature: Xml) -> x509.Certificate | None:
    """Return the first certificate in the signature's KeyInfo. Raises ValueError."""
    told = signature.findtext("ds:KeyInfo/ds:X509Data/ds:X509Certificate", None, NS)
    return x509.load_der_x509_certificate(b64decode(told)) if told else None


def _wrong_in_value(signature: Xml) -> Iterator[str]:
    info = signature.find("ds:SignedInfo", NS)
    certificate = certificate_of(signature)
    key = certificate.public_key() if certificate else None
    if info is None or not isinstance(key, rsa.RSAPublicKey):
        yield "set.certificate"
        return
    if info.xpath("string(ds:CanonicalizationMethod/@Algorithm)", namespaces=NS) != C14N_COMMENTS:
        yield "set.canonicalization"
    method = METHODS.get(info.xpath("string(ds:SignatureMethod/@Algorithm)", namespaces=NS))
    if method is None:
        yield "set.method"
        return
    value = b64decode(signature.findtext("ds:SignatureValue", "", NS))
    try:
        key.verify(value, _canonical(info, comments=True), padding.PKCS1v15(), method)
    except InvalidSignature:
        yield "set.value"


def _wrong_in_references(signature: Xml) -> Iterator[str]:
    """Yield what is wrong: two references are wanted, to the Manifest and the signed properties, without transforms."""
    references = signature.xpath("ds:SignedInfo/ds:Reference", namespaces=NS)
    if len(references) != len(PARTS):
        yield "set.references"
        return
    for reference, (uri, kind, path) in zip(references, PARTS, strict=True):
        parts = signature.xpath(path, namespaces=ALL)
        if (reference.get("URI"), reference.get("Type")) != (uri, kind) or len(parts) != 1:
            yield "set.reference"
        elif reference.find("ds:Transforms", NS) is not None:
            yield "set.transforms"
        elif not _has_digest(reference, _canonical(parts[0], comments=False)):
            yield "set.digest"


def _wrong_in_manifest(signature: Xml, set_id: str, documents: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what is wrong: the set comes first, then each document once, and no other."""
    references = signature.xpath("ds:Object/ds:Manifest/ds:Reference", namespaces=NS)
    names = [str(reference.get("URI")).removeprefix("urn:oid:") for reference in references]
    if not names or names[0] != set_id or references[0].findtext("ds:DigestValue", "", NS).strip() != NO_OCTETS:
        yield "set.set"
    if sorted(names[1:]) != sorted(documents):
        yield "set.documents"
    for name, reference in zip(names[1:], references[1:], strict=True):
        content = documents.get(name)
        if content is not None and not _has_digest(reference, _octets(reference, content)):
            yield "set.document"


def _octets(reference: Xml, content: bytes) -> bytes:
    """XML in its canonical form where the reference says so, else the bytes as they were sent. Raises ValueError."""
    transforms = reference.xpath("ds:Transforms/ds:Transform/@Algorithm", namespaces=NS)
    if not transforms:
        return content
    if transforms != [C14N_COMMENTS]:
        raise ValueError("transform")
    form: bytes = etree.tostring(parsed(content).getroottree(), method="c14n", exclusive=False, with_comments=True)
    return form


def _wrong_in_properties(signature: Xml, now: datetime) -> Iterator[str]:
    purpose = signature.find("ds:Object[2]/ds:SignatureProperties/ds:SignatureProperty[@Id='purposeOfSignature']", NS)
    target = f"#{signature.get('Id')}"
    if purpose is None or (purpose.text or "").strip() != PURPOSE or purpose.get("Target") != target:
        yield "set.purpose"
    signed = signature.find(f"ds:Object[3]/x:QualifyingProperties/{PARTS[1][2].split('/')[2]}", ALL)
    inside = None if signed is None else signed.find("x:SignedSignatureProperties", ALL)
    if signed is None or inside is None:
        yield "set.properties"
        return
    if signed.getparent().get("Target") != target:
        yield "set.properties.target"
    when = datetime.fromisoformat(inside.findtext("x:SigningTime", "", ALL).strip())
    if when > now + SKEW:
        yield "set.time"
    if inside.find("x:SignaturePolicyIdentifier/x:SignaturePolicyImplied", ALL) is None:
        yield "set.policy"
    if signed.find("x:SignedDataObjectProperties", ALL) is None:
        yield "set.data_object_properties"
    yield from _wrong_in_named_certificate(inside, signature)


def _wrong_in_named_certificate(inside: Xml, signature: Xml) -> Iterator[str]:
    """Yield what is wrong: the signed properties name the signer first, its chain may follow."""
    named = inside.find("x:SigningCertificate/x:Cert", ALL)
    certificate = signature.findtext("ds:KeyInfo/ds:X509Data/ds:X509Certificate", "", NS)
    digest = None if named is None else named.find("x:CertDigest", ALL)
    if digest is None or not _has_digest(digest, b64decode(certificate), "x"):
        yield "set.signing_certificate"


def _wrong_in_signer(signature: Xml, now: datetime, signer: x509.Certificate | None) -> Iterator[str]:
    certificate = certificate_of(signature)
    if certificate is None:
        return
    if not can_sign(certificate):
        yield "set.certificate.key_usage"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        yield "set.certificate.dates"
    if signer is not None and certificate != signer:
        yield "set.signer"


def _has_digest(reference: Xml, octets: bytes, prefix: str = "ds") -> bool:
    method = DIGESTS.get(reference.xpath(f"string({prefix}:DigestMethod/@Algorithm)", namespaces=ALL))
    told = b64decode(reference.findtext(f"{prefix}:DigestValue", "", ALL))
    return method is not None and hashlib.new(method, octets).digest() == told


def _canonical(part: Xml, *, comments: bool) -> bytes:
    """Inclusive C14N 1.0 of an element in its document: all namespaces in scope there are written.

    lxml may add an empty default namespace to what is below an element in the middle of a document: it is made the
    root of one of its own, and read again.
    """
    root = etree.Element(part.tag, part.attrib, nsmap=part.nsmap)
    root.text = part.text
    root.extend([copy.deepcopy(child) for child in part])
    alone = parsed(etree.tostring(root)).getroottree()
    form: bytes = etree.tostring(alone, method="c14n", exclusive=False, with_comments=comments)
    return form
