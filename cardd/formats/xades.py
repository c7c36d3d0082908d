"""XAdES-B and -T as they are made (ETSI EN 319 132-1): in the XML document, around any document, or apart from it.

The document is signed as its octets stand when it is inside (base64) or apart; in an XML document that holds its own
signature, comments are not covered: XML Signature reads a whole document without them.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from lxml import etree

from cardd.errors import (
    DocumentEmpty,
    DocumentTooLarge,
    DocumentUnsupported,
)
from cardd.formats.certificate import KEYWORDS, facts_of, require_signing
from cardd.formats.document import sha256_of, size_of
from cardd.formats.options import CertificateProperty, Packaging, XadesOptions
from cardd.formats.prepared import Signer
from cardd.formats.xml import C14N, EXCLUSIVE, XML_MAX, Element, canonical, canonical_document, parsed
from cardd.formats.xmldsig import (
    ALONE,
    BASE64,
    DS,
    ENVELOPED,
    XADES,
    Reference,
    XmlPrepared,
    add,
    add_digest,
    is_open,
    mark,
    new_signature,
    prepared_signature,
)

INSIDE_MAX = 7 * 1024 * 1024  # in base64 this is just below the 10 million characters that libxml2 takes in one text
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
END_TAG = re.compile(rb"</[^<>]*>\s*")
PREFIXES: dict[str | None, str] = {"ds": DS, "xades": XADES}
DEFAULT = XadesOptions()


def prepare_xades(document: BinaryIO, signer: Signer, now: datetime, options: XadesOptions = DEFAULT) -> XmlPrepared:
    """A signature of this document; ``now`` is the signing time that is claimed.

    Raises DocumentEmpty, DocumentTooLarge, and as ``require_signing`` does; for a document that gets the
    signature inside also DocumentUnsupported when it has one already, and as ``cardd.formats.xml.parsed`` does.
    """
    require_signing(signer, now)
    if size_of(document) == 0:
        raise DocumentEmpty
    match options.packaging:
        case Packaging.ENVELOPED:
            return _enveloped(document, signer, now, options)
        case Packaging.ENVELOPING:
            return _enveloping(document, signer, now, options)
    return _detached(sha256_of(document), signer, now, options)


def prepare_xades_digest(digest: bytes, signer: Signer, now: datetime, options: XadesOptions) -> XmlPrepared:
    """A detached signature of the document that has this SHA-256. Raises as ``require_signing`` does."""
    require_signing(signer, now)
    return _detached(digest, signer, now, options)


def _enveloped(document: BinaryIO, signer: Signer, now: datetime, options: XadesOptions) -> XmlPrepared:
    if size_of(document) > XML_MAX:
        raise DocumentTooLarge(format="XAdES", limit=XML_MAX)
    root = parsed(document)
    if root.find(f".//{{{DS}}}Signature") is not None:  # it would cover the new one, or not be covered by it
        raise DocumentUnsupported(format="XAdES", what="ds:Signature")
    octets, form = canonical_document(root), EXCLUSIVE
    if is_open(root, octets):  # values need what this form leaves out
        octets, form = canonical_document(root, C14N), C14N
    what = Reference(sha256(octets).digest(), "", (ENVELOPED, form))
    return _prepared(_signature(signer, now, what.digest), what, signer, now, options, around=_around(document, root))


def _around(document: BinaryIO, root: Element) -> tuple[bytes, bytes]:
    """The octets before and after a new last child of the root, as they are where the document ends with its end tag.

    What is signed is ASCII, and so is the end tag's first sign, in every encoding where this finds it.
    """
    document.seek(0)
    octets = document.read()
    end = octets.rfind(b"</")
    if end > 0 and END_TAG.fullmatch(octets, end):
        return octets[:end], octets[end:]
    place = f"signature {secrets.token_hex(16)}"
    root.append(etree.Comment(place))
    written = etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8")
    before, _, after = written.partition(f"<!--{place}-->".encode())
    return before, after


def _enveloping(document: BinaryIO, signer: Signer, now: datetime, options: XadesOptions) -> XmlPrepared:
    if size_of(document) > INSIDE_MAX:
        raise DocumentTooLarge(format="XAdES", limit=INSIDE_MAX)
    document.seek(0)
    content = document.read()
    digest = sha256(content).digest()
    signature = _signature(signer, now, digest)
    name = f"{signature.get('Id')}-object"
    text = b64encode(content).decode()
    add(signature, DS, "Object", text, Id=name, MimeType=options.mime_type, Encoding=BASE64)
    return _prepared(signature, Reference(digest, f"#{name}", (BASE64,)), signer, now, options)


def _detached(digest: bytes, signer: Signer, now: datetime, options: XadesOptions) -> XmlPrepared:
    return _prepared(_signature(signer, now, digest), Reference(digest, options.uri), signer, now, options)


def _signature(signer: Signer, now: datetime, digest: bytes) -> Element:
    return new_signature(f"xades-{mark(signer, now, digest)}", PREFIXES)


def _prepared(
    signature: Element,
    what: Reference,
    signer: Signer,
    now: datetime,
    options: XadesOptions,
    *,
    around: tuple[bytes, bytes] = ALONE,
) -> XmlPrepared:
    name = f"{signature.get('Id')}"
    content = Reference(what.digest, what.uri, what.transforms, f"{name}-reference")
    signed = _signed_properties(signature, signer, now, options)
    data = add(add(signed, XADES, "SignedDataObjectProperties"), XADES, "DataObjectFormat")
    data.set("ObjectReference", f"#{content.id}")
    add(data, XADES, "MimeType", options.mime_type or _mime_type(options.packaging))
    digest = sha256(canonical(signed)).digest()
    properties = Reference(digest, f"#{signed.get('Id')}", (EXCLUSIVE,), type=SIGNED_PROPERTIES)
    return prepared_signature(signature, signer, [content, properties], around=around)


def _signed_properties(signature: Element, signer: Signer, now: datetime, options: XadesOptions) -> Element:
    name = signature.get("Id")
    qualifying = add(add(signature, DS, "Object"), XADES, "QualifyingProperties", Target=f"#{name}")
    signed = add(qualifying, XADES, "SignedProperties", Id=f"{name}-properties")
    of_signature = add(signed, XADES, "SignedSignatureProperties")
    time = now.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    add(of_signature, XADES, "SigningTime", f"{time}Z")
    if options.certificate is CertificateProperty.V1:
        add_signing_certificate(of_signature, (signer.certificate,), version=XADES, digests=DS)
    else:
        add_signing_certificate_v2(of_signature, signer.certificate)
    return signed


def _mime_type(form: Packaging) -> str:
    return "text/xml" if form is Packaging.ENVELOPED else "application/octet-stream"


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
