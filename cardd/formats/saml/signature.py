"""An enveloped XML signature over an assertion, in two steps (W3C XML Signature; SAML 2.0 core, section 5.4).

RSA with SHA-256 and exclusive canonical XML without a PrefixList, so that the assertion means the same wherever it is
put into a message. The leaf certificate is its KeyInfo.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cardd.errors import AssertionLate, InternalError
from cardd.formats.document import new_document
from cardd.formats.prepared import Signer
from cardd.formats.saml.node import DSIG, SAML, Element, Node, canonical
from cardd.model import Message
from cardd.ports import Clock

C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DSIG + "enveloped-signature"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
AFTER_ISSUER = 1


@dataclass(frozen=True, slots=True)
class Life:
    """Until when an assertion may be signed, and how long it lives."""

    clock: Clock
    until: datetime
    seconds: int


class PreparedAssertion:
    """``Prepared``: an assertion that is ready but for the value of its signature."""

    def __init__(self, assertion: Element, identifier: str, signer: Signer, life: Life | None) -> None:
        self._life = life
        self._assertion: Element | None = assertion
        signed_info = _signed_info(identifier, hashlib.sha256(canonical(assertion)).digest())
        signed = canonical(signed_info.element())
        self.message = Message(hashlib.sha256(signed).digest(), signed)
        self.identifier = identifier
        signature = _node("Signature").element(SAML)
        self._value = _node("SignatureValue").element(DSIG)
        for part in (signed_info.element(DSIG), self._value, _key_info(signer.certificate).element(DSIG)):
            signature.append(part)
        assertion.insert(AFTER_ISSUER, signature)

    def stamped(self, value: bytes) -> bytes:
        """As ``Prepared``, though no assertion carries a timestamp."""
        return value

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The assertion in UTF-8, without an XML declaration. Raises AssertionLate when its life is over."""
        assertion, self._assertion = self._assertion, None
        if assertion is None or timestamp is not None:
            raise InternalError
        if self._life and self._life.clock.now() >= self._life.until:
            raise AssertionLate(seconds=self._life.seconds)
        self._value.text = base64.b64encode(value).decode()
        return new_document(canonical(assertion))


def _signed_info(identifier: str, digest: bytes) -> Node:
    transforms = _node("Transforms", _algorithm("Transform", ENVELOPED), _algorithm("Transform", C14N))
    reference = Node(
        DSIG,
        "Reference",
        {"URI": f"#{identifier}"},
        (transforms, _algorithm("DigestMethod", SHA256), _base64("DigestValue", digest)),
    )
    methods = (_algorithm("CanonicalizationMethod", C14N), _algorithm("SignatureMethod", RSA_SHA256))
    return _node("SignedInfo", *methods, reference)


def _key_info(certificate: bytes) -> Node:
    return _node("KeyInfo", _node("X509Data", _base64("X509Certificate", certificate)))


def _node(name: str, *children: Node) -> Node:
    return Node(DSIG, name, children=children)


def _algorithm(name: str, uri: str) -> Node:
    return Node(DSIG, name, {"Algorithm": uri})


def _base64(name: str, value: bytes) -> Node:
    return Node(DSIG, name, text=base64.b64encode(value).decode())
