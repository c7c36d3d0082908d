"""Outside judges of assertions: xmlsec1, node's xadesjs, OASIS's SAML 2.0 schema. And signxml as another sender."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureConstructionMethod
from signxml.signer import XMLSigner

from tests.rig.saml import Key

if TYPE_CHECKING:
    from lxml.etree._docloader import _InputDocument

SCHEMAS = (Path("/usr/share/xml/opensaml"), Path("/usr/share/xml/xmltooling"))
JUDGES = Path(__file__).parent / "judges"
ASSERTION = SCHEMAS[0] / "saml-schema-assertion-2.0.xsd"
SIGNATURE = re.compile(rb"<Signature .*</Signature>", re.DOTALL)
PLACE = b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>'
VALUES = re.compile(rb"<(DigestValue|SignatureValue)>[^<]*</\1>")
CODED = re.compile(rb"<(Role|PurposeOfUse) [^>]*></\1>")


def xmlsec_accepts(directory: Path, document: bytes, key: Key, pem: bytes | None = None) -> bool:
    """Whether ``xmlsec1 --verify`` finds the assertion signed by this certificate, which it trusts.

    ``pem`` is the certificate where it is not the key's usual one.
    """
    (directory / "assertion.xml").write_bytes(document)
    (directory / "certificate.pem").write_bytes(pem or key.pem)
    identifier = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
    judged = subprocess.run(
        ["xmlsec1", "--verify", "--id-attr:ID", identifier, "--trusted-pem", "certificate.pem", "assertion.xml"],
        cwd=directory,
        check=False,
        capture_output=True,
        timeout=30,
    )
    return judged.returncode == 0


def signed_by_xmlsec(directory: Path, document: bytes, key: Key) -> bytes:
    """The assertion with the values of its signature made anew by xmlsec1, with whatever algorithms it names."""
    (directory / "template.xml").write_bytes(VALUES.sub(rb"<\1></\1>", document))
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(private)
    identifier = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
    command = ["xmlsec1", "--sign", "--id-attr:ID", identifier, "--privkey-pem", "key.pem", "template.xml"]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=30).stdout


def xadesjs_says(document: bytes) -> str:
    """``good``, or ``refused: `` and why. Skips where node's packages are not installed."""
    if not (JUDGES / "node_modules" / "xadesjs").is_dir():
        pytest.skip("node's xadesjs is not installed: make setup does so")
    command = ["node", "--no-warnings", "vihf.mjs"]
    return subprocess.run(
        command, cwd=JUDGES, check=True, capture_output=True, input=document, timeout=60
    ).stdout.decode()


def schema_faults(document: bytes) -> list[str]:
    """What the schema does not allow; HL7's types, which it cannot know, are left out. Skips where it is not there."""
    if not ASSERTION.exists():
        pytest.skip("the Debian packages opensaml-schemas and xmltooling-schemas are not installed")
    schema = _schema()
    schema.validate(etree.fromstring(CODED.sub(b"", document)))
    return [entry.message for entry in schema.error_log]


def signed_anew(document: bytes, key: Key, prefixes: tuple[str, ...] = ()) -> bytes:
    """The assertion with another signature in the place of its own, made by signxml: for what we would never send.

    ``prefixes`` make a PrefixList, as older senders have it.
    """
    root = etree.fromstring(SIGNATURE.sub(PLACE, document))
    signer = XMLSigner(
        SignatureConstructionMethod.enveloped,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signed = signer.sign(
        root,
        key=private,
        cert=[key.certificate],
        reference_uri=root.get("ID"),
        inclusive_ns_prefixes=list(prefixes) or None,
    )
    form: bytes = etree.tostring(signed)
    return form


@cache
def _schema() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_Packaged())
    return etree.XMLSchema(etree.parse(str(ASSERTION), parser))


class _Packaged(etree.Resolver):
    """The schemas that the schema imports, by name, from the packages."""

    def resolve(self, url: str | None, public_id: str | None, context: object, /) -> _InputDocument:
        for folder in SCHEMAS:
            if (found := folder / (url or "").rpartition("/")[2]).exists():
                return self.resolve_filename(str(found), context)
        return self.resolve_empty(context)
