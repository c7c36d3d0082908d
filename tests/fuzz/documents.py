"""Signed documents, and what authorities say of their certificates: whoever hands them over may have made them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from asn1crypto import pem, x509
from pyhanko_certvalidator.path import ValidationPath

from cardd.documents.formats import signatures_of
from cardd.documents.requests import ToVerify
from cardd.errors import DocumentMalformed
from cardd.formats.cades import verify_cms
from cardd.formats.jws import verify_jws
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Answer, Request
from cardd.formats.raw import verify_raw
from cardd.formats.revocation import judged, queries
from cardd.formats.submission_set import verify_submission_set
from cardd.formats.timestamp import TimestampRequest, token_of, verified
from cardd.formats.trust import TrustedAuthorities, vouched_for
from cardd.formats.verified import Source
from cardd.formats.xades_read import verify_xades
from cardd.formats.xml import parsed
from tests.fuzz.parser import Parser

MATERIAL = Path(__file__).with_name("material.pem")  # an authority and whom it vouches for, made by seeds.py
COVERED = b"valeur SIMULATION"
ASKED = TimestampRequest(b"", bytes(32), 0x5349_4D55_4C41)
DAY = timedelta(days=1)
XML_WORDS = (
    b"<?xml version='1.0'?>",
    b"<!DOCTYPE",
    b"<!ENTITY",
    b"xmlns=",
    b"<ds:Signature",
    b"<ds:SignedInfo>",
    b'<ds:Reference URI="#',
    b"<ds:Transform Algorithm=",
    b"http://www.w3.org/2000/09/xmldsig#",
    b"http://www.w3.org/2001/10/xml-exc-c14n#",
    b"http://www.w3.org/2001/04/xmlenc#sha256",
    b'Id="',
    b"xades:",
    b"<ds:Object>",
    b"InclusiveNamespaces PrefixList=",
    b"<![CDATA[",
    b"&#0;",
    b"xml:space=",
    b"<!--",
)
JSON_WORDS = (b'"payload"', b'"protected"', b'"signature"', b'"signatures"', b'"header"', b'"alg"', b'"x5c"', b'"crit"')


@cache
def certificates() -> tuple[x509.Certificate, x509.Certificate]:
    """An authority that is trusted, and a certificate that it issued."""
    root, person = (der for _, _, der in pem.unarmor(MATERIAL.read_bytes(), multiple=True))
    return x509.Certificate.load(root), x509.Certificate.load(person)


@cache
def now() -> datetime:
    """When the material was made: its authority's certificate is valid since 2,000 days then."""
    begun: datetime = certificates()[0].not_valid_before
    return begun + 2000 * DAY


@cache
def _trusted() -> TrustedAuthorities:
    return TrustedAuthorities([certificates()[0].dump()])


@cache
def _path() -> ValidationPath:
    found = _trusted().path(certificates()[1].dump(), (), now())
    assert isinstance(found, ValidationPath)
    return found


def _answer_of(source: Source) -> Callable[[bytes], object]:
    return lambda data: judged(data, source, certificates()[1], _path(), now())


def _signer(data: bytes) -> None:
    """The bytes as a signer's certificate: its path, and whom it names to be asked."""
    root = certificates()[0]
    found = _trusted().path(data, (data, root.dump()), now())
    vouched_for((data,), [root])
    if isinstance(found, ValidationPath):
        certificate = x509.Certificate.load(data)
        queries(certificate, found.find_issuing_authority(certificate))


class _NoPdf(PdfProcess):
    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """Read nothing: PDF files have parsers of their own."""
        raise DocumentMalformed(format="PDF")


def _any(data: bytes) -> None:
    """A document of whatever format; from a zero byte on, what it is beside."""
    document, zero, content = data.partition(b"\0\0\0\0")
    given = ToVerify(BytesIO(document), BytesIO(content)) if zero else ToVerify(BytesIO(data))
    signatures_of(given, _NoPdf())


def _raw(data: bytes) -> None:
    """A value and its certificates behind the value's length."""
    size = data[0] if data else 0
    verify_raw(BytesIO(COVERED), data[1 : 1 + size], data[1 + size :])


_CMS = ("cardd.formats.cades", "cardd.formats.cms", "cardd.formats.ber")
_XMLDSIG = ("cardd.formats.xades_read", "cardd.formats.xmldsig", "cardd.formats.xml")
_REVOCATION = ("cardd.formats.revocation",)

PARSERS: dict[str, Parser] = {
    "any": Parser(
        _any, ("cardd.documents.formats",), words=(b"-----BEGIN CMS-----\n", b"-----END CMS-----\n", b"\0\0\0\0")
    ),
    "xml": Parser(lambda data: parsed(BytesIO(data)), ("cardd.formats.xml",), longest=16_384, words=XML_WORDS),
    "xades": Parser(lambda data: verify_xades(BytesIO(data), None), _XMLDSIG, longest=16_384, words=XML_WORDS),
    "submission_set": Parser(
        lambda data: verify_submission_set(BytesIO(data), {"1.2.250.1.99999.1": BytesIO(COVERED)}),
        ("cardd.formats.submission_set", *_XMLDSIG),
        longest=16_384,
        words=XML_WORDS,
    ),
    "jws": Parser(lambda data: verify_jws(BytesIO(data), None), ("cardd.formats.jws",), longest=8192, words=JSON_WORDS),
    "cms": Parser(lambda data: verify_cms(BytesIO(data), None), _CMS, longest=8192),
    "raw": Parser(_raw, ("cardd.formats.raw",)),
    "timestamp": Parser(lambda data: verified(data, COVERED), ("cardd.formats.timestamp", *_CMS[1:2]), longest=8192),
    "timestamp_answer": Parser(
        lambda data: token_of(data, ASKED, _trusted(), now()), ("cardd.formats.timestamp", *_CMS[1:2]), longest=8192
    ),
    "signer": Parser(_signer, ("cardd.formats.trust",)),
    "ocsp": Parser(_answer_of(Source.OCSP), _REVOCATION),
    "revocation_list": Parser(_answer_of(Source.CRL), _REVOCATION),
}
