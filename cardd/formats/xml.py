"""XML from outside: read without DTD, entities or network, and within limits; and its canonical forms."""

from __future__ import annotations

from typing import BinaryIO, NoReturn
from xml.parsers import expat

from lxml import etree
from lxml.etree import _Element

from cardd.errors import (
    DocumentEmpty,
    DocumentMalformed,
    DocumentTooLarge,
    DocumentUnsupported,
    DocumentXmlDoctype,
    DocumentXmlLimits,
)
from cardd.formats.document import size_of

Element = _Element

XML_MAX = 20 * 1024 * 1024
DEPTH_MAX = 256  # elements inside each other; this and the next are libxml2's own
TEXT_MAX = 10_000_000  # bytes of one text or attribute
NAMESPACES_MAX = 256  # in scope of one element
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")  # and all that write ASCII as the first does: expat knows no others
FIRST_PIECE = 4096
LIMITS = (etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_INTERNAL_ERROR)  # the second before libxml2 2.14
OF_NAMES = (etree.ErrorDomains.NAMESPACE,)  # and prefixes

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N_COMMENTS = f"{C14N}#WithComments"
C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = {C14N: False, C14N_COMMENTS: True, C14N_11: False, f"{C14N_11}#WithComments": True}
WITH_COMMENTS = {EXCLUSIVE: False, f"{EXCLUSIVE}WithComments": True, **INCLUSIVE}
"""The canonical forms that are understood, by their identifiers: whether each keeps comments."""

_inherits = etree.XPath("boolean(ancestor::*/@xml:*)")


def parsed(document: BinaryIO, limit: int = XML_MAX) -> Element:
    """The root of an XML document from outside.

    Raises DocumentEmpty, DocumentTooLarge, DocumentXmlDoctype (which every entity bomb has), DocumentXmlLimits,
    DocumentMalformed.
    """
    size = size_of(document)
    if size == 0:
        raise DocumentEmpty
    if size > limit:
        raise DocumentTooLarge(format="XML", limit=limit)
    _refuse_doctype(document)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        document.seek(0)
        octets = document.read()
        root = etree.fromstring(octets, parser)  # twice as fast as from the file
    except etree.XMLSyntaxError as fault:
        if fault.code in LIMITS:
            raise _limits() from fault
        raise DocumentMalformed(format="XML") from fault
    if parser.error_log.filter_domains(OF_NAMES).filter_from_errors():
        raise DocumentMalformed(format="XML")  # which lxml overlooks where a warning followed
    if root.getroottree().docinfo.internalDTD is not None:  # pragma: no cover - where expat and libxml2 disagree
        raise DocumentXmlDoctype
    _require_few_namespaces(octets, root)
    return root


def _require_few_namespaces(octets: bytes, root: Element) -> None:
    """Canonical XML looks at every namespace in scope for each element: many of both would take minutes."""
    if sum(octets.count("xmlns".encode(encoding)) for encoding in ENCODINGS) <= NAMESPACES_MAX:
        return
    in_scope = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > NAMESPACES_MAX:
            raise _limits()


def _limits() -> DocumentXmlLimits:
    return DocumentXmlLimits(depth=DEPTH_MAX, text=TEXT_MAX, namespaces=NAMESPACES_MAX)


class _RootReached(Exception):
    """What may hold a DTD is over."""


def _refuse_doctype(document: BinaryIO) -> None:
    """Look at what comes before the root element, before a parser that knows entities gets to see it."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _doctype
    parser.StartElementHandler = _root
    document.seek(0)
    size = FIRST_PIECE
    try:
        while piece := document.read(size):
            parser.Parse(piece)
            size *= 2  # an older expat reads what has no end yet again with each piece
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as fault:  # the latter two: an encoding that it does not know
        raise DocumentMalformed(format="XML") from fault
    except _RootReached:
        return


def _doctype(*_: object) -> NoReturn:
    raise DocumentXmlDoctype


def _root(*_: object) -> NoReturn:
    raise _RootReached


def canonical(element: Element, algorithm: str = EXCLUSIVE, prefixes: tuple[str, ...] = ()) -> bytes:
    """Return one element with all that is in it, where it stands, in one of the forms of ``WITH_COMMENTS``.

    ``prefixes`` are those that the exclusive form treats as the inclusive one does. Raises KeyError for another form,
    DocumentMalformed for what has none, DocumentUnsupported for one that takes attributes from above.
    """
    if algorithm in INCLUSIVE:
        if _inherits(element):
            raise DocumentUnsupported(format="XML", what="xml:")
        # lxml would forget the namespaces that are declared above: written and read again, they stand on the element;
        # as UTF-8, for in ASCII a name with an accent cannot be read again
        element = etree.fromstring(etree.tostring(element, encoding="utf-8", with_tail=False), _TRUSTED)
    return _written(element, algorithm, prefixes)


def canonical_document(root: Element, algorithm: str = EXCLUSIVE, prefixes: tuple[str, ...] = ()) -> bytes:
    """The whole document, with what stands before and after its root. Raises as ``canonical`` does."""
    return _written(root.getroottree(), algorithm, prefixes)


def without_comments(algorithm: str) -> str:
    """Return the canonical form that is like this one, and leaves comments out."""
    return EXCLUSIVE if algorithm.startswith(EXCLUSIVE) else algorithm.removesuffix("#WithComments")


def _written(node: Element | etree._ElementTree, algorithm: str, prefixes: tuple[str, ...]) -> bytes:
    try:
        return etree.tostring(
            node,
            method="c14n",
            exclusive=algorithm not in INCLUSIVE,
            inclusive_ns_prefixes=list(prefixes) or None,
            with_comments=WITH_COMMENTS[algorithm],
        )
    except etree.LxmlError as fault:  # a namespace that is no absolute URI
        raise DocumentMalformed(format="XML") from fault


_TRUSTED = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
