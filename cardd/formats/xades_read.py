"""XML signatures as they are read: XAdES-B and -T (ETSI EN 319 132-1), and plain ones (W3C).

What XAdES 1.1.1 and 1.2.2 tell of the signer is read too.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from hashlib import new, sha256
from typing import BinaryIO, cast

from asn1crypto import algos, x509
from lxml import etree

from cardd.errors import (
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentMalformed,
    DocumentUnsupported,
    TimestampMalformed,
)
from cardd.formats import timestamp
from cardd.formats.document import reading
from cardd.formats.raw import HASHES, accepts
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature, VerifiedTimestamp, claimed_time
from cardd.formats.xml import C14N, Element, canonical, parsed
from cardd.formats.xmldsig import (
    BASE64,
    DIGESTS,
    DS,
    METHODS,
    XADES,
    Covered,
    SignedXml,
    octets_of,
    one,
    text_of,
)

SIGNATURES_MAX = 8
MANIFEST = f"{DS}Manifest"
XADES_111 = "http://uri.etsi.org/01903/v1.1.1#"
VERSIONS = (XADES, "http://uri.etsi.org/01903/v1.2.2#", XADES_111)
OWN = {DS, *VERSIONS, "http://uri.etsi.org/01903/v1.4.1#", "http://www.w3.org/2009/xmldsig11#"}
ATTRIBUTES = {"Algorithm", "Encoding", "Id", "MimeType", "ObjectReference", "Qualifier", "Target", "Type", "URI"}
SHA1 = f"{DS}sha1"  # of a certificate only, beside the issuer's name: no signature hangs on it
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
ALGORITHMS = {
    **{uri: str(algorithm) for algorithm, uri in METHODS.items()},
    **{f"{MORE}rsa-sha{size}": f"RS{size}" for size in HASHES},
    **{f"{MORE}ecdsa-sha{size}": f"ES{size}" for size in HASHES},
    **{f"http://www.w3.org/2007/05/xmldsig-more#sha{size}-rsa-MGF1": f"PS{size}" for size in HASHES},
}
WEAK = {f"{DS}rsa-sha1": "RS1", f"{DS}dsa-sha1": "DS1", f"{MORE}ecdsa-sha1": "ES1", f"{MORE}rsa-md5": "RSMD5"}
PARTS = {
    f"{{{DS}}}{name}": sign
    for name, sign in {"SignedInfo": "I", "SignatureValue": "V", "KeyInfo": "K", "Object": "O"}.items()
}
IN_ORDER = re.compile("I*V*K?O*")  # XML Signature, section 4.2; what is there twice is told by ``one``
_outermost = etree.XPath("//ds:Signature[not(ancestor::ds:Signature)]", namespaces={"ds": DS})


def verify_xades(document: BinaryIO, content: BinaryIO | None = None) -> list[VerifiedSignature]:
    """Each signature of an XML document that is not inside another, or none; ``content`` is what a detached one covers.

    A signature's scope is WHOLE when it covers all of the document but itself, or all that it holds.
    A plain XML signature is read too; it claims no time.

    Raises DocumentMalformed, DocumentUnsupported, DocumentContentMissing, DocumentContentTwice, and as
    ``cardd.formats.xml.parsed`` does.
    """
    root = parsed(document)
    with reading(DocumentMalformed(format="XAdES"), TimestampMalformed):
        signatures = cast(list[Element], _outermost(root))
        if len(signatures) > SIGNATURES_MAX:
            raise DocumentUnsupported(format="XAdES", what="signatures")
        found = [verified(SignedXml(root, signature, content)) for signature in signatures]
    if found and content is not None and all(signature.scope is not Scope.DETACHED for signature in found):
        raise DocumentContentTwice
    return found


def verified(signed: SignedXml, *, is_list: bool = False) -> VerifiedSignature:
    """Return what one signature says; ``is_list``: it may cover a Manifest, whose documents the caller checks.

    Raises as ``verify_xades`` does, within ``reading``.
    """
    if not IN_ORDER.fullmatch("".join(PARTS.get(str(part.tag), "?") for part in signed.signature.iterchildren("*"))):
        raise DocumentMalformed(format="XAdES")
    certificates = [octets_of(text) for text in _texts(signed.signature, "KeyInfo/X509Data/X509Certificate")]
    if not certificates:
        raise DocumentUnsupported(format="XAdES", what="X509Certificate")
    properties = _properties(signed.signature)
    content, flaw, has_properties = _references(signed, properties, is_list=is_list)
    told = properties if has_properties else None
    certificate, is_named = _signer(certificates, told)
    algorithm = _algorithm(signed)
    if flaw is None and not is_named:
        flaw = Flaw.CERTIFICATE
    if flaw is None and (algorithm in WEAK.values() or signed.is_weak):
        flaw = Flaw.WEAK
    if flaw is None and not _holds(signed, certificate, algorithm):
        flaw = Flaw.SIGNATURE
    return VerifiedSignature(
        format=Format.XADES,
        certificate=certificate,
        chain=tuple(other for other in certificates if other != certificate),
        algorithm=algorithm,
        scope=Scope.DETACHED if is_list else _scope(signed, content, told),
        digest=content[0].sha256 if len(content) == 1 else _together(content),
        signed_at=_signing_time(told),
        timestamp=_timestamp(signed.signature),
        flaw=flaw,
    )


def _references(
    signed: SignedXml, properties: Element | None, *, is_list: bool
) -> tuple[list[Covered], Flaw | None, bool]:
    """Return what is covered beside the signature's parts, what is wrong, and if the properties are covered."""
    content, flaw, has_properties = [], None, False
    for reference in signed.references:
        if reference.get("Type") == MANIFEST and not is_list:
            raise DocumentContentMissing  # of a set, whose documents come with their names: ``verify_submission_set``
        found = signed.covered(reference)
        if not found.is_intact:
            flaw = Flaw.CONTENT
        if found.element is not None and found.element is properties:
            has_properties = True
        elif found.element is None or found.element is not signed.signature.find(f"{{{DS}}}KeyInfo"):
            content.append(found)
    if not content:
        raise DocumentUnsupported(format="XAdES", what="references")
    return content, flaw, has_properties


def _scope(signed: SignedXml, content: list[Covered], properties: Element | None) -> Scope:
    """WHOLE only where nothing can be read that is not covered: in the document, in the signature, in a comment."""
    if any(part.element is None for part in content):
        return Scope.DETACHED
    if not (signed.signature is signed.root or any(part.is_document for part in content)):
        return Scope.PART
    inside = [part.element for part in content]
    objects = [held for held in signed.signature.findall(f"{{{DS}}}Object") if _qualifying(held) is None]
    is_whole = all(any(held is part for part in inside) for held in objects)
    themselves = [part.element for part in content if not part.is_decoded]
    says_more = _says_more(signed, themselves) or any(_is_told_otherwise(part, properties) for part in content)
    if not is_whole or says_more or any(part.is_open or _hides_text(part) for part in content):
        return Scope.PART
    return Scope.WHOLE


def _is_told_otherwise(part: Covered, properties: Element | None) -> bool:
    """Return whether an Object, whose base64 alone is covered, says of it what the signed properties do not."""
    if not part.is_decoded or part.element is None:
        return False
    path = "{*}SignedDataObjectProperties/{*}DataObjectFormat/{*}MimeType"
    signed = {text_of(kind) for kind in properties.findall(path)} if properties is not None else set()
    kind, encoding = part.element.get("MimeType"), part.element.get("Encoding")
    return (kind is not None and kind not in signed) or encoding not in (None, BASE64)


def _says_more(signed: SignedXml, covered: list[Element | None]) -> bool:
    """Return whether the signature holds what no signature is made of: readers of the document would find it there."""
    waiting = [signed.signature]
    while waiting:
        element = waiting.pop()
        if element is signed.information or any(element is part for part in covered):
            continue
        kids = list(element.iterchildren("*"))
        texts = [element.text, *(node.tail for node in element)]
        if kids and "".join(text or "" for text in texts).strip():
            return True
        if etree.QName(element).namespace not in OWN or not ATTRIBUTES.issuperset(element.attrib):
            return True
        waiting += kids
    return False


def _hides_text(part: Covered) -> bool:
    """Return whether a comment that is not covered stands in a text: some readers end the text there."""
    if part.has_comments or part.element is None:
        return False
    return any(_is_in_text(comment) for comment in part.element.iter(etree.Comment))


def _is_in_text(comment: Element) -> bool:
    previous, parent = comment.getprevious(), comment.getparent()
    before = previous.tail if previous is not None else parent.text if parent is not None else None
    return bool((before or "").strip() or (comment.tail or "").strip())


def _together(content: list[Covered]) -> bytes:
    return sha256(b"".join(part.sha256 for part in content)).digest()


def _qualifying(held: Element) -> Element | None:
    for version in VERSIONS:
        found = held.find(f"{{{version}}}QualifyingProperties")
        if found is not None and len(held) == 1:
            return found
    return None


def _properties(signature: Element) -> Element | None:
    """The SignedProperties that stand where they must; others mean nothing."""
    found = [_qualifying(held) for held in signature.findall(f"{{{DS}}}Object")]
    qualifying = [held for held in found if held is not None]
    if len(qualifying) > 1:
        raise DocumentMalformed(format="XAdES")
    return qualifying[0].find("{*}SignedProperties") if qualifying else None


def _signer(certificates: list[bytes], properties: Element | None) -> tuple[bytes, bool]:
    """The certificate that the signed properties name, else the first, and whether they name one at all wrongly."""
    path = "{*}SignedSignatureProperties/{*}%s/{*}Cert/{*}CertDigest"
    if properties is None:
        return certificates[0], True
    for name in ("SigningCertificateV2", "SigningCertificate"):
        digest = properties.find(path % name)
        if digest is not None:
            told = octets_of(_text(digest, "{*}DigestValue") or "")
            named = [found for found in certificates if hmac.compare_digest(_digest(digest, found), told)]
            return (named[0], True) if named else (certificates[0], False)
    return certificates[0], True


def _digest(method: Element, certificate: bytes) -> bytes:
    found = method.find("{*}DigestMethod")
    uri = found.get("Algorithm") if found is not None else None
    name = "sha1" if uri == SHA1 else DIGESTS[str(uri)]
    return new(name, certificate, usedforsecurity=False).digest()


def _algorithm(signed: SignedXml) -> str:
    uri = one(signed.information, DS, "SignatureMethod").get("Algorithm") or ""
    known = {**ALGORITHMS, **WEAK}
    if uri not in known:
        raise DocumentUnsupported(format="XAdES", what=uri[-48:])
    return known[uri]


def _holds(signed: SignedXml, certificate: bytes, algorithm: str) -> bool:
    key = x509.Certificate.load(certificate, strict=True).public_key
    value = octets_of(text_of(one(signed.signature, DS, "SignatureValue")))
    if algorithm.startswith("ES"):
        if key.algorithm != "ec" or len(value) != 2 * -(-int(key.bit_size) // 8):
            return False
        value = algos.DSASignature.from_p1363(value).dump()
    digest = new(HASHES[algorithm[2:]], signed.canonical_information).digest()
    return accepts(key.dump(), algorithm, value, digest)


def _signing_time(properties: Element | None) -> datetime | None:
    text = _text(properties, "{*}SignedSignatureProperties/{*}SigningTime") if properties is not None else None
    return None if text is None else claimed_time(text.strip())


def _timestamp(signature: Element) -> VerifiedTimestamp | None:
    """The first signature timestamp (EN 319 132-1, section 5.3)."""
    path = "{*}UnsignedProperties/{*}UnsignedSignatureProperties/{*}SignatureTimeStamp"
    for held in signature.findall(f"{{{DS}}}Object"):
        qualifying = _qualifying(held)
        stamp = qualifying.find(path) if qualifying is not None else None
        if stamp is not None:
            method = stamp.find(f"{{{DS}}}CanonicalizationMethod")
            form = method.get("Algorithm") if method is not None else C14N
            token = octets_of(_text(stamp, "{*}EncapsulatedTimeStamp") or "")
            return timestamp.verified(token, canonical(one(signature, DS, "SignatureValue"), str(form)))
    return None


def _text(parent: Element, path: str) -> str | None:
    found = parent.find(path)
    return None if found is None else text_of(found)


def _texts(signature: Element, path: str) -> list[str]:
    found = signature.findall("/".join(f"{{{DS}}}{name}" for name in path.split("/")))
    return [text_of(element) for element in found]
