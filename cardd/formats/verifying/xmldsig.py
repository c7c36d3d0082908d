"""What an XML signature covers, and whether that is unchanged (W3C XML Signature 1.1, section 4.4.3).

A signature can be moved to where its references find something else. So an identifier that occurs twice is refused,
what a reference finds is told by where it stands, and no transform is taken that could leave something out: no XPath,
no XSLT, nothing from the network.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, cast

from lxml import etree

from cardd.errors import DocumentContentMissing, DocumentMalformed, DocumentUnsupported
from cardd.formats.document import pieces
from cardd.formats.xml import C14N, EXCLUSIVE, WITH_COMMENTS, Element, canonical, canonical_document, without_comments
from cardd.formats.xmldsig import BASE64, DS, ENVELOPED

DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
REFERENCES_MAX = 8
ID_NAMES = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")
_with_ids = etree.XPath("//*[@Id or @ID or @id or @xml:id]")


@dataclass(frozen=True, slots=True)
class Covered:
    """What one reference covers: ``sha256`` of its octets as they are here.

    ``element`` is where they stand, None when the document is elsewhere; ``is_document`` says that it is all of the
    document but the signature itself.
    """

    sha256: bytes
    is_intact: bool
    element: Element | None = None
    is_document: bool = False


@dataclass(frozen=True)
class SignedXml:
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

    @cached_property
    def canonical_information(self) -> bytes:
        """What the key has signed. Raises DocumentUnsupported for another form than the usual ones."""
        algorithm, prefixes = _form(one(self.information, DS, "CanonicalizationMethod"))
        return canonical(self.information, algorithm, prefixes)

    def covered(self, reference: Element) -> Covered:
        """What is behind a reference.

        Raises DocumentContentMissing for a document elsewhere that was not given, DocumentMalformed for an identifier
        that is nowhere or twice, DocumentUnsupported.
        """
        uri = reference.get("URI")
        transforms = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
        if uri is None or (uri and not uri.startswith("#")):
            return self._apart(reference, transforms)
        target = self.root if uri == "" else self._named(uri[1:])
        octets = self._octets(target, transforms, is_whole=uri == "")
        is_enveloped = any(transform.get("Algorithm") == ENVELOPED for transform in transforms)
        return _covered(reference, octets, target, is_document=target is self.root and is_enveloped)

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
        found = self._identifiers.get(identifier, [])
        if len(found) != 1:
            raise DocumentMalformed(format="XML")
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

    def _octets(self, target: Element, transforms: list[Element], *, is_whole: bool) -> bytes:
        names = [str(transform.get("Algorithm")) for transform in transforms]
        if names == [BASE64]:
            return b64decode(text_of(target))
        enveloped, forms = names[:1] == [ENVELOPED], transforms[names[:1] == [ENVELOPED] :]
        if len(forms) > 1:
            raise DocumentUnsupported(format="XML", what=_algorithm(forms[1]))
        algorithm, prefixes = _form(forms[0]) if forms else (C14N, ())
        with self._left_out(enveloped, target):
            if is_whole:  # a reference to "" leaves the comments out (XML Signature, section 4.4.3.3)
                return canonical_document(target, without_comments(algorithm), prefixes)
            return canonical(target, algorithm, prefixes)

    @contextmanager
    def _left_out(self, enveloped: bool, target: Element) -> Iterator[None]:
        """The document without this signature for a while, but with the text behind it."""
        parent = self.signature.getparent()
        if not enveloped:
            yield
            return
        if parent is None or not _is_in(self.signature, target):
            raise DocumentMalformed(format="XML")
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
    """The only child of this name. Raises DocumentMalformed when there is none, or another one."""
    found = parent.findall(f"{{{namespace}}}{name}")
    if len(found) != 1:
        raise DocumentMalformed(format="XML")
    return found[0]


def text_of(element: Element) -> str:
    """Its text. Raises DocumentMalformed for a comment in it, which could cut it short unseen."""
    if len(element):
        raise DocumentMalformed(format="XML")
    return element.text or ""


def digest_of(element: Element) -> tuple[str, bytes]:
    """The hash by hashlib's name, and the digest that is told. Raises DocumentUnsupported for an older hash."""
    method = one(element, DS, "DigestMethod")
    name = DIGESTS.get(_algorithm(method))
    if name is None:
        raise DocumentUnsupported(format="XML", what=_algorithm(method))
    return name, b64decode(text_of(one(element, DS, "DigestValue")))


def _covered(reference: Element, octets: bytes, element: Element, *, is_document: bool) -> Covered:
    name, told = digest_of(reference)
    is_intact = hmac.compare_digest(hashlib.new(name, octets).digest(), told)
    return Covered(hashlib.sha256(octets).digest(), is_intact, element, is_document)


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
