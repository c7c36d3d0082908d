"""XML signatures (W3C XML Signature 1.1): written around a value that comes later, and read.

signxml signs in one step, with its own clock and one structure: what is signed here has other times, the DMP's
structure, and a key that answers later. So the elements are written here, and signxml is among the judges in the tests.

A signature that is read can have been moved to where its references find something else. So an identifier that occurs
twice is refused, what a reference finds is told by where it stands, and no transform is taken that could leave
something out: no XPath, no XSLT, nothing from the network.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import BinaryIO, cast

from lxml import etree

from cardd.errors import (
    DocumentAmbiguous,
    DocumentContentMissing,
    DocumentMalformed,
    DocumentTimestampForm,
    DocumentUnsupported,
)
from cardd.formats.document import new_document, pieces
from cardd.formats.prepared import Signer
from cardd.formats.xml import C14N, EXCLUSIVE, WITH_COMMENTS, Element, canonical, canonical_document, without_comments
from cardd.model import Algorithm, Message
from cardd.values import Value

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
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
BROKEN = {f"{DS}sha1": "sha1", "http://www.w3.org/2001/04/xmldsig-more#md5": "md5"}
REFERENCES_MAX = 8
DECLARED = re.compile(rb' xmlns:([^=]+)="([^"]*)"')
LEFT_OUT_MAX = 32  # prefixes that are looked for, each in the whole document
SPACES = dict.fromkeys(map(ord, " \t\r\n"))
ID_NAMES = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")
_with_ids = etree.XPath("//*[@Id or @ID or @id or @xml:id]")


class Reference(Value):
    """One thing that is signed: where it is, what is done with it, and the SHA-256 of what comes of that."""

    digest: bytes
    uri: str | None = None
    transforms: tuple[str, ...] = ()
    id: str | None = None
    type: str | None = None


class XmlPrepared(Value):
    """An XML signature that is ready but for its value; ``around`` is what stands before and after it."""

    signature: Element
    message: Message
    around: tuple[bytes, bytes]

    def stamped(self, value: bytes) -> bytes:
        """The canonical SignatureValue (ETSI EN 319 132-1, section 5.3)."""
        return canonical(self.filled(value))

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The document with its signature. Raises DocumentTimestampForm for a timestamp in XAdES 1.1.1."""
        self.filled(value)
        if timestamp is not None:
            self._stamp(timestamp)
        before, after = self.around
        return new_document(b"".join((before, etree.tostring(self.signature), after)))

    def filled(self, value: bytes) -> Element:
        """Put the value in its place; gives the SignatureValue."""
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
    made = etree.SubElement(parent, f"{{{namespace}}}{name}", given, nsmap=prefixes)
    made.text = text
    return made


def mark(signer: Signer, now: datetime, what: bytes) -> str:
    """Return what an Id says: always the same for this signer, time and content, so that both can be made again."""
    return sha256(b"\0".join((signer.certificate, now.isoformat().encode(), what))).hexdigest()[:32]


def new_signature(identifier: str | None, prefixes: dict[str | None, str]) -> Element:
    """A ds:Signature whose parts are empty as yet: SignedInfo, SignatureValue and KeyInfo, in this order."""
    given = {} if identifier is None else {"Id": identifier}
    signature = etree.Element(f"{{{DS}}}Signature", given, nsmap=prefixes)
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
    if (identifier := signature.get("Id")) is not None:
        value.set("Id", f"{identifier}-value")
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


class Covered(Value):
    """What one reference covers: ``sha256`` of its octets as they are here.

    ``element`` is where they stand, None when the document is elsewhere; ``is_document`` says that it is all of the
    document but the signature itself; ``has_comments`` that comments are covered too; ``is_decoded`` that only what the
    element's base64 says is covered, and not the element; ``is_open`` that values have prefixes whose meaning is not.
    """

    sha256: bytes
    is_intact: bool
    element: Element | None = None
    is_document: bool = False
    has_comments: bool = True
    is_decoded: bool = False
    is_open: bool = False


class SignedXml(Value, dict=True):
    """One ds:Signature in its document; ``content`` is the document that a reference to the outside means."""

    root: Element
    signature: Element
    content: BinaryIO | None = None

    @cached_property
    def information(self) -> Element:
        """The SignedInfo."""
        return one(self.signature, DS, "SignedInfo")

    @cached_property
    def references(self) -> list[Element]:
        """What the signature covers. Raises DocumentUnsupported for too many of them."""
        found = self.information.findall(f"{{{DS}}}Reference")
        if not 1 <= len(found) <= REFERENCES_MAX:
            raise DocumentUnsupported(format="XML", what="references")
        return found

    @property
    def is_weak(self) -> bool:
        """Whether a hash that is broken stands for something that is covered."""
        return any(_algorithm(one(reference, DS, "DigestMethod")) in BROKEN for reference in self.references)

    @cached_property
    def canonical_information(self) -> bytes:
        """What the key has signed. Raises DocumentUnsupported for another form than the usual ones."""
        algorithm, prefixes = _form(one(self.information, DS, "CanonicalizationMethod"))
        return canonical(self.information, algorithm, prefixes)

    def covered(self, reference: Element) -> Covered:
        """Return what is behind a reference.

        Raises DocumentContentMissing for a document elsewhere that was not given, DocumentMalformed for an identifier
        that is nowhere, DocumentAmbiguous for one that is there twice, DocumentUnsupported.
        """
        uri = reference.get("URI")
        transforms = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
        if uri is None or (uri and not uri.startswith("#")):
            return self._apart(reference, transforms)
        target = self.root if uri == "" else self._named(uri[1:])
        octets, is_open = self._octets(target, transforms, is_whole=uri == "")
        names = [_algorithm(transform) for transform in transforms]
        is_document = target is self.root and ENVELOPED in names and (uri == "" or _stands_alone(self.root))
        is_decoded = names == [BASE64]
        has_comments = is_decoded or (uri != "" and any(WITH_COMMENTS.get(name) for name in names))
        name, told = digest_of(reference)
        is_intact = hmac.compare_digest(hashlib.new(name, octets).digest(), told)
        digest = hashlib.sha256(octets).digest()
        return Covered(digest, is_intact, target, is_document, has_comments, is_decoded, is_open)

    def _apart(self, reference: Element, transforms: list[Element]) -> Covered:
        if transforms:
            raise DocumentUnsupported(format="XML", what=_algorithm(transforms[0]))
        if self.content is None:
            raise DocumentContentMissing
        name, told = digest_of(reference)
        digest, sha256 = hashlib.new(name), hashlib.sha256()
        for piece in pieces(self.content):
            digest.update(piece)
            sha256.update(piece)
        return Covered(sha256.digest(), hmac.compare_digest(digest.digest(), told))

    def _named(self, identifier: str) -> Element:
        found: list[Element] = self._identifiers.get(identifier, [])
        if not found:
            raise DocumentMalformed(format="XML")
        if len(found) > 1:
            raise DocumentAmbiguous(what=f'Id="{identifier[:48]}"', why="moved")
        return found[0]

    @cached_property
    def _identifiers(self) -> dict[str, list[Element]]:
        """The elements that have each identifier."""
        found: dict[str, list[Element]] = defaultdict(list)
        for element in cast(list[Element], _with_ids(self.root)):
            for value in {element.get(name) for name in ID_NAMES}:
                if value is not None:
                    found[value].append(element)
        return found

    def _octets(self, target: Element, transforms: list[Element], *, is_whole: bool) -> tuple[bytes, bool]:
        """Return what is covered, and whether it has prefixes whose meaning is not."""
        names = [str(transform.get("Algorithm")) for transform in transforms]
        if names == [BASE64]:
            return octets_of(text_of(target)), False
        enveloped, forms = names[:1] == [ENVELOPED], transforms[names[:1] == [ENVELOPED] :]
        others = [name for name in names if name not in (ENVELOPED, BASE64, *WITH_COMMENTS)]
        if others or len(forms) > 1:
            raise DocumentUnsupported(format="XML", what=(others or names)[0][-48:])
        algorithm, prefixes = _form(forms[0]) if forms else (C14N, ())
        with self._left_out(enveloped, target):
            if is_whole:  # a reference to "" leaves the comments out (XML Signature, section 4.4.3.3)
                octets = canonical_document(target, without_comments(algorithm), prefixes)
            else:
                octets = canonical(target, algorithm, prefixes)
            return octets, is_open(target, octets)

    @contextmanager
    def _left_out(self, enveloped: bool, target: Element) -> Iterator[None]:
        """The document without this signature for a while, but with the text behind it."""
        parent = self.signature.getparent()
        if not enveloped:
            yield
            return
        if parent is None or not _is_in(self.signature, target):
            raise DocumentAmbiguous(what="enveloped-signature", why="moved")
        place, tail = parent.index(self.signature), self.signature.tail
        before = parent[place - 1] if place else None
        old = before.tail if before is not None else parent.text
        _set_text(parent, before, (old or "") + (tail or "") or None)
        self.signature.tail = None
        parent.remove(self.signature)
        try:
            yield
        finally:
            parent.insert(place, self.signature)
            self.signature.tail = tail
            _set_text(parent, before, old)


def one(parent: Element, namespace: str, name: str) -> Element:
    """The only child of this name. Raises DocumentMalformed when there is none, DocumentAmbiguous for another one."""
    found = parent.findall(f"{{{namespace}}}{name}")
    if len(found) > 1:
        raise DocumentAmbiguous(what=name, why="twice")
    if not found:
        raise DocumentMalformed(format="XML")
    return found[0]


def text_of(element: Element) -> str:
    """Return the text of an element. Raises DocumentMalformed for a comment in it, which could cut it short unseen."""
    if len(element):
        raise DocumentMalformed(format="XML")
    return element.text or ""


def octets_of(text: str) -> bytes:
    """What base64 says, with white space in it and nothing else: words behind its end would be read by somebody."""
    return b64decode(text.translate(SPACES), validate=True)


def digest_of(element: Element) -> tuple[str, bytes]:
    """The hash by hashlib's name, and the digest that is told. Raises DocumentUnsupported for another hash."""
    method = one(element, DS, "DigestMethod")
    name = {**DIGESTS, **BROKEN}.get(_algorithm(method))
    if name is None:
        raise DocumentUnsupported(format="XML", what=_algorithm(method))
    return name, octets_of(text_of(one(element, DS, "DigestValue")))


def _stands_alone(root: Element) -> bool:
    """Return whether no instruction to whoever shows the document, such as a style sheet, stands around its root."""
    instructions = (*root.itersiblings(etree.PI, preceding=True), *root.itersiblings(etree.PI))
    return not instructions


def is_open(target: Element, octets: bytes) -> bool:
    """Return whether values name a namespace that is not in the canonical octets (Exclusive XML C14N, section 1.3).

    The exclusive form has the namespaces of elements and attributes alone: what ``t:`` in ``xsi:type="t:dose"`` means
    could be changed.
    """
    named = cast(Iterator[tuple[str, tuple[str, str]]], etree.iterwalk(target, events=("start-ns",)))
    declared = {(prefix.encode(), uri.encode()) for _, (prefix, uri) in named if prefix}
    left_out = {prefix for prefix, _ in declared - {*DECLARED.findall(octets)}} if declared else set()
    return len(left_out) > LEFT_OUT_MAX or any(_begins_a_word(prefix + b":", octets) for prefix in left_out)


def _begins_a_word(beginning: bytes, octets: bytes) -> bool:
    literal = re.escape(beginning)  # first, so that it is searched for as fast as any word
    return re.search(literal + rb"(?<![\w.\x80-\xff-]" + literal + rb")", octets) is not None


def _form(method: Element) -> tuple[str, tuple[str, ...]]:
    """The canonical form that a method or transform names, and the prefixes of its InclusiveNamespaces."""
    algorithm = _algorithm(method)
    if algorithm not in WITH_COMMENTS:
        raise DocumentUnsupported(format="XML", what=algorithm[-48:])
    listed = method.find(f"{{{EXCLUSIVE}}}InclusiveNamespaces")
    prefixes = (listed.get("PrefixList") or "").split() if listed is not None else []
    return algorithm, tuple("" if prefix == "#default" else prefix for prefix in prefixes)


def _algorithm(method: Element) -> str:
    return method.get("Algorithm") or ""


def _is_in(element: Element, target: Element) -> bool:
    above = element.getparent()
    while above is not None and above is not target:
        above = above.getparent()
    return above is target


def _set_text(parent: Element, before: Element | None, text: str | None) -> None:
    if before is None:
        parent.text = text
    else:
        before.tail = text
