"""Writing an XML signature (W3C XML Signature 1.1) around a value that comes later.

signxml signs in one step, with its own clock and one structure: what is signed here has other times, the DMP's
structure, and a key that answers later. So the elements are written here, and signxml is among the judges in the tests.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, cast

from lxml import etree

from cardd.errors import DocumentTimestampForm
from cardd.formats.document import new_document
from cardd.formats.prepared import Signer
from cardd.formats.xml import EXCLUSIVE, Element, canonical
from cardd.model import Algorithm, Message

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
ENVELOPED = f"{DS}enveloped-signature"
BASE64 = f"{DS}base64"
METHODS = {
    Algorithm.RS256: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    Algorithm.ES256: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    Algorithm.PS256: "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",  # RFC 9231, section 2.3.10
}
ALONE = (b'<?xml version="1.0" encoding="UTF-8"?>\n', b"")
INFORMATION, VALUE, KEY = 0, 1, 2  # the places of a signature's first parts


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that is signed: where it is, what is done with it, and the SHA-256 of what comes of that."""

    digest: bytes
    uri: str | None = None
    transforms: tuple[str, ...] = ()
    id: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class XmlPrepared:
    """An XML signature that is ready but for its value; ``around`` is what stands before and after it."""

    signature: Element
    message: Message
    around: tuple[bytes, bytes]

    def stamped(self, value: bytes) -> bytes:
        """The canonical SignatureValue (ETSI EN 319 132-1, section 5.3)."""
        return canonical(self._filled(value))

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The document with its signature. Raises DocumentTimestampForm for a timestamp in XAdES 1.1.1."""
        self._filled(value)
        if timestamp is not None:
            self._stamp(timestamp)
        before, after = self.around
        return new_document(b"".join((before, etree.tostring(self.signature), after)))

    def _filled(self, value: bytes) -> Element:
        place = self.signature[VALUE]
        place.text = b64encode(value).decode()
        return place

    def _stamp(self, timestamp: bytes) -> None:
        properties = self.signature.find(f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties")
        if properties is None:
            raise DocumentTimestampForm(format="XAdES 1.1.1")
        unsigned = add(add(properties, XADES, "UnsignedProperties"), XADES, "UnsignedSignatureProperties")
        stamp = add(unsigned, XADES, "SignatureTimeStamp")
        add(stamp, DS, "CanonicalizationMethod", Algorithm=EXCLUSIVE)
        add(stamp, XADES, "EncapsulatedTimeStamp", b64encode(timestamp).decode())


def add(
    parent: Element,
    namespace: str,
    name: str,
    text: str | None = None,
    *,
    prefixes: dict[str | None, str] | None = None,
    **attributes: str | None,
) -> Element:
    """A new last child; attributes that are None are left out."""
    given = {key: value for key, value in attributes.items() if value is not None}
    made = cast(Element, etree.SubElement(parent, f"{{{namespace}}}{name}", given, nsmap=prefixes))
    made.text = text
    return made


def new_signature(identifier: str, prefixes: dict[str | None, str]) -> Element:
    """A ds:Signature whose parts are empty as yet: SignedInfo, SignatureValue and KeyInfo, in this order."""
    signature = cast(Element, etree.Element(f"{{{DS}}}Signature", Id=identifier, nsmap=prefixes))
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        add(signature, DS, name)
    return signature


def prepared_signature(
    signature: Element,
    signer: Signer,
    references: list[Reference],
    *,
    canonicalization: str = EXCLUSIVE,
    around: tuple[bytes, bytes] = ALONE,
) -> XmlPrepared:
    """Fill in what is signed and by whom. Around it may be more only with a canonical form that does not care."""
    information, value, key = (signature[index] for index in (INFORMATION, VALUE, KEY))
    add(information, DS, "CanonicalizationMethod", Algorithm=canonicalization)
    add(information, DS, "SignatureMethod", Algorithm=METHODS[signer.algorithm])
    for reference in references:
        add_reference(information, reference)
    value.set("Id", f"{signature.get('Id')}-value")
    certificates = add(key, DS, "X509Data")
    for certificate in dict.fromkeys((signer.certificate, *signer.chain)):
        add(certificates, DS, "X509Certificate", b64encode(certificate).decode())
    signed = canonical(information, canonicalization)
    return XmlPrepared(signature, Message(sha256(signed).digest(), signed), around)


def add_reference(parent: Element, reference: Reference) -> None:
    """A ds:Reference, in SignedInfo or in a Manifest."""
    made = add(parent, DS, "Reference", Id=reference.id, URI=reference.uri, Type=reference.type)
    if reference.transforms:
        transforms = add(made, DS, "Transforms")
        for transform in reference.transforms:
            add(transforms, DS, "Transform", Algorithm=transform)
    add_digest(made, DS, reference.digest)


def add_digest(parent: Element, namespace: str, digest: bytes) -> None:
    """DigestMethod and DigestValue: XAdES 1.1.1 has them in its own namespace."""
    add(parent, namespace, "DigestMethod", Algorithm=SHA256)
    add(parent, namespace, "DigestValue", b64encode(digest).decode())
