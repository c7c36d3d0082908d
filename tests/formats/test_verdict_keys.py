"""Keys that may not sign documents: the same rule decides as for signing, in whatever format the signature is."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import jwt
import pytest
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, SimpleSigner, sign_pdf
from pyhanko_certvalidator.registry import SimpleCertificateStore

from cardd.documents.requests import ToVerify
from cardd.documents.verdicts import Verdict, Verification
from cardd.formats.document import new_document
from cardd.formats.prepared import Signer
from cardd.formats.raw import prepare_raw
from cardd.formats.xmldsig import ENVELOPED
from cardd.model import Algorithm
from tests.rig.others import openssl_cms, xmlsec_part
from tests.rig.pdf import pdf
from tests.rig.pens import Key, Pen, der, usage_of
from tests.rig.verifying import DOCUMENT, Desk, codes, verifying


def jws(_desk: Desk, pen: Pen) -> bytes:
    """By PyJWT."""
    header = {"x5c": [b64encode(pen.signer.certificate).decode()]}
    return jwt.encode({"dose": 10}, pen.key, pen.signer.algorithm, header).encode()


def pades(_desk: Desk, pen: Pen) -> bytes:
    """By pyHanko."""
    key = keys.PrivateKeyInfo.load(pen.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    signer = SimpleSigner(asn1_x509.Certificate.load(pen.signer.certificate), key, SimpleCertificateStore())  # type: ignore[no-untyped-call]  # pyHanko's own
    about = PdfSignatureMetadata(field_name="signature", subfilter=SigSeedSubFilter.PADES, md_algorithm="sha256")
    return bytes(sign_pdf(IncrementalPdfFileWriter(BytesIO(pdf())), about, signer).getvalue())


# others sign: cardd refuses such keys
FORMATS: dict[str, Callable[[Desk, Pen], bytes]] = {
    "cms": lambda desk, pen: openssl_cms(pen, desk.directory, DOCUMENT, "-nodetach", "-cades"),
    "jws": jws,
    "pdf": pades,
    "raw": lambda _, pen: pen.sign(prepare_raw(BytesIO(DOCUMENT), None).message),
    "xml": lambda desk, pen: xmlsec_part(pen, desk.directory, b"<order>10@</order>", "", transforms=(ENVELOPED,)),
}


@dataclass(frozen=True)
class Kept:
    """A certificate's key usage and purposes, and what is said of a signature by its key."""

    usage: tuple[str, ...] | None
    purposes: tuple[x509.ObjectIdentifier, ...]
    verdict: Verdict
    reasons: list[str]
    bits: int | None = None  # of an RSA key; the curve P-256 without


SIGNS = ("content_commitment",)
PROVES = ("digital_signature",)
KEYS = {
    "for documents": Kept(SIGNS, (), Verdict.VALID, []),
    "for documents and mail": Kept(SIGNS, (Purpose.EMAIL_PROTECTION,), Verdict.VALID, []),
    "a card's authentication": Kept(PROVES, (Purpose.CLIENT_AUTH,), Verdict.INVALID, ["usage_authentication"]),
    "an organisation's AUTH": Kept(PROVES, (), Verdict.INVALID, ["usage_authentication"]),
    "a TLS server's": Kept((*PROVES, "key_encipherment"), (Purpose.SERVER_AUTH,), Verdict.INVALID, ["usage"]),
    "a TLS server's that commits": Kept(SIGNS, (Purpose.SERVER_AUTH,), Verdict.INVALID, ["usage"]),
    "a timestamp authority's": Kept(SIGNS, (Purpose.TIME_STAMPING,), Verdict.INVALID, ["usage"]),
    "only for encryption": Kept(("key_encipherment",), (), Verdict.INVALID, ["usage"]),
    "for what nobody says": Kept(None, (), Verdict.UNDETERMINED, ["usage_unsaid"]),
    "RSA 1024": Kept(SIGNS, (), Verdict.INVALID, ["weak_key"], bits=1024),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with verifying(tmp_path) as made:
        yield made


def pen_of(desk: Desk, kept: Kept) -> Pen:
    key: Key = rsa.generate_private_key(65537, kept.bits) if kept.bits else desk.key
    algorithm = Algorithm.RS256 if kept.bits else Algorithm.ES256
    usage = usage_of(*kept.usage) if kept.usage is not None else None
    purposes = x509.ExtendedKeyUsage(kept.purposes) if kept.purposes else None
    certificate = desk.root.issue(key, "PERSONNE SIMULATION", usage, purposes=purposes)
    return Pen(Signer(der(certificate), desk.root.chain, algorithm), key, desk.root.pem)


async def judged(desk: Desk, kind: str, pen: Pen) -> Verification:
    """What is found in a document that the pen signed; beside a raw value stands its certificate."""
    signed = await asyncio.to_thread(FORMATS[kind], desk, pen)
    if kind != "raw":
        return await desk.verify(signed)
    with new_document(DOCUMENT) as document:
        return await desk.verifier().verify(ToVerify(document, signature=signed, certificate=pen.signer.certificate))


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")  # PyJWT's word on it
@pytest.mark.parametrize("kept", KEYS.values(), ids=KEYS)
async def test_the_key_decides_in_every_format_alike(desk: Desk, kept: Kept) -> None:
    pen = pen_of(desk, kept)
    for kind in FORMATS:
        found = await judged(desk, kind, pen)
        (one,) = found.signatures
        assert (kind, found.verdict, codes(one)) == (kind, kept.verdict, kept.reasons)
