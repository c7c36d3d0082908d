"""A SAML 2.0 assertion (OASIS, saml-core-2.0-os, section 2): its parts as plain values, and its enveloped signature.

RSA with SHA-256 and exclusive canonical XML without a PrefixList, so that the assertion means the same wherever it is
put into a message. The leaf certificate is its KeyInfo.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import BinaryIO

from lxml import etree

from cardd.errors import AssertionLate, InternalError
from cardd.formats.document import new_document
from cardd.formats.prepared import Signer
from cardd.formats.saml import checks
from cardd.formats.xml import EXCLUSIVE, Element, canonical
from cardd.formats.xmldsig import DS, ENVELOPED, Reference, new_signature, prepared_signature
from cardd.model import Message
from cardd.ports import Clock
from cardd.values import Value, field, replace

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
HL7 = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SUBJECT_NAME = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
AFTER_ISSUER = 1


class Node(Value):
    """An element: its namespace and name, its attributes, and its text or its children, never both.

    ``type`` is an ``xsi:type``; its prefix-less name is meant in the element's own namespace.
    """

    namespace: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Node, ...] = ()
    text: str | None = None
    type: str | None = None

    def element(self, outer: str | None = None) -> Element:
        """The lxml element; ``outer`` is the namespace around it, whose declaration it shares."""
        spaces: dict[str | None, str] = {} if self.namespace == outer else {None: self.namespace}
        attributes = dict(self.attributes)
        if self.type is not None:
            spaces["xsi"] = XSI
            attributes[f"{{{XSI}}}type"] = self.type
        made = etree.Element(f"{{{self.namespace}}}{self.name}", attributes, nsmap=spaces)
        made.text = self.text
        for child in self.children:
            made.append(child.element(self.namespace))
        return made


def new_identifier() -> str:
    """``_`` and a random UUID: an xs:ID, and never the same twice."""
    return f"_{uuid.uuid4()}"


def node(name: str, *children: Node, text: str | None = None, **attributes: str) -> Node:
    """An element of SAML's namespace."""
    return Node(SAML, name, attributes, children, text)


def tree(identifier: str, now: datetime, *parts: Node) -> Node:
    """The assertion, its parts in the schema's order."""
    return node("Assertion", *parts, ID=identifier, IssueInstant=checks.instant(now), Version="2.0")


def issuer(subject: str) -> Node:
    """The subject name of the signing certificate."""
    return node("Issuer", text=subject, Format=SUBJECT_NAME)


def subject(name: str, **qualifier: str) -> Node:
    """Whom the assertion is about."""
    return node("Subject", node("NameID", text=name, **qualifier))


def attribute(name: str, *values: Node | str) -> Node:
    """An attribute with each value in an AttributeValue of its own."""
    wrapped = (
        node("AttributeValue", text=value) if isinstance(value, str) else node("AttributeValue", value)
        for value in values
    )
    return node("Attribute", *wrapped, Name=name)


class Life(Value):
    """Until when an assertion may be signed, and how long it lives."""

    clock: Clock
    until: datetime
    seconds: int


class PreparedAssertion:
    """``Prepared``: an assertion that is ready but for the value of its signature."""

    def __init__(self, assertion: Node, identifier: str, signer: Signer, life: Life | None) -> None:
        root = assertion.element()
        reference = Reference(sha256(canonical(root)).digest(), f"#{identifier}", (ENVELOPED, EXCLUSIVE))
        self._signature = prepared_signature(new_signature(None, {None: DS}), replace(signer, chain=()), [reference])
        root.insert(AFTER_ISSUER, self._signature.signature)
        self._root: Element | None = root
        self._life = life
        self.identifier = identifier

    @property
    def message(self) -> Message:
        """What the key signs."""
        return self._signature.message

    def stamped(self, value: bytes) -> bytes:
        """Return the value: no assertion carries a timestamp."""
        return value

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The assertion in UTF-8, without an XML declaration. Raises AssertionLate when its life is over."""
        root, self._root = self._root, None
        if root is None or timestamp is not None:
            raise InternalError
        if self._life and self._life.clock.now() >= self._life.until:
            raise AssertionLate(seconds=self._life.seconds)
        self._signature.filled(value)
        return new_document(canonical(root))
