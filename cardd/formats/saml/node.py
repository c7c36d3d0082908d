"""A piece of XML as a plain value, and its canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from lxml import etree

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
HL7 = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


class Element(Protocol):
    """What is used of an lxml element, which comes without types."""

    text: str | None

    def insert(self, index: int, element: Element) -> None:
        """Put a child at this place."""
        ...

    def append(self, element: Element) -> None:
        """Put a child behind the others."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
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
        made = cast(Element, etree.Element(f"{{{self.namespace}}}{self.name}", attributes, nsmap=spaces))
        made.text = self.text
        for child in self.children:
            made.append(child.element(self.namespace))
        return made


def canonical(element: Element) -> bytes:
    """Exclusive canonical XML without comments (W3C, 2002), as it stands on the wire and under every digest."""
    form: bytes = etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    return form
