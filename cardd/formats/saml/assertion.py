"""The parts that every SAML 2.0 assertion has (OASIS, saml-core-2.0-os, section 2)."""

from __future__ import annotations

import uuid
from datetime import datetime

from cardd.formats.saml import checks
from cardd.formats.saml.node import SAML, Node

SUBJECT_NAME = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"


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
