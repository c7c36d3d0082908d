"""Signatures that others make with our keys: CMS messages by openssl, XML signatures by xmlsec1."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate

from cardd.formats.xmldsig import DS
from tests.rig.openssl import run
from tests.rig.pens import Pen

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def openssl_cms(pen: Pen, directory: Path, document: bytes, *options: str) -> bytes:
    """A CMS message of ``openssl cms -sign``."""
    (directory / "document").write_bytes(document)
    (directory / "chain.pem").write_bytes(pen.roots)
    signer = key_and_certificate(pen, directory / "signer.pem")
    run("cms", "-sign", "-binary", "-in", directory / "document", "-outform", "DER", "-out", directory / "signed",
        "-signer", signer, "-certfile", directory / "chain.pem", *options)  # fmt: skip
    return (directory / "signed").read_bytes()


def key_and_certificate(pen: Pen, path: Path) -> Path:
    """Both in one PEM file."""
    key = pen.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + load_der_x509_certificate(pen.signer.certificate).public_bytes(Encoding.PEM))
    return path


def xmlsec_part(
    pen: Pen, directory: Path, document: bytes, uri: str, *, transforms: tuple[str, ...] = (), form: str = EXCLUSIVE
) -> bytes:
    """A plain XML signature that xmlsec1 makes in the document, at the mark ``@``, of what the reference finds."""
    kind = "ecdsa" if pen.signer.algorithm.startswith("ES") else "rsa"
    listed = "".join(f'<Transform Algorithm="{name}"/>' for name in (*transforms, form))
    template = (
        f'<Signature xmlns="{DS}"><SignedInfo><CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{kind}-sha256"/>'
        f'<Reference URI="{uri}"><Transforms>{listed}</Transforms>'
        '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue/></Reference></SignedInfo>'
        "<SignatureValue/><KeyInfo><X509Data/></KeyInfo></Signature>"
    )
    (directory / "key.pem").write_bytes(pen.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate = load_der_x509_certificate(pen.signer.certificate)
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "template.xml").write_bytes(document.replace(b"@", template.encode()))
    last = "(//*[local-name()='Signature'])[last()]"
    command = ["xmlsec1", "--sign", "--node-xpath", last, "--id-attr:Id", "part", "--id-attr:Id", "order",
               "--privkey-pem", "key.pem,certificate.pem", "--output", "signed.xml", "template.xml"]  # fmt: skip
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (directory / "signed.xml").read_bytes()
