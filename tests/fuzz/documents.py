"""Signed documents, and what authorities say of their certificates: whoever hands them over may have made them."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from asn1crypto import pem, x509
from pyhanko_certvalidator.path import ValidationPath

from cardd.documents.formats import signatures_of
from cardd.documents.requests import ToVerify
from cardd.errors import CarddError, DocumentMalformed
from cardd.formats.cades import verify_cms
from cardd.formats.jws import verify_jws
from cardd.formats.pades import verify_pades
from cardd.formats.pdf.host import SharedFile, _answered
from cardd.formats.pdf.process import PdfProcess, _error
from cardd.formats.pdf.wire import Answer, Place, Refused, Request, Stamp, receive_answer, receive_request
from cardd.formats.raw import verify_raw
from cardd.formats.revocation import judged, queries
from cardd.formats.submission_set import verify_submission_set
from cardd.formats.timestamp import TimestampRequest, token_of, verified
from cardd.formats.trust import TrustedAuthorities, vouched_for
from cardd.formats.verified import Source
from cardd.formats.xades_read import verify_xades
from cardd.formats.xml import parsed
from cardd.frames import Broken, framed
from tests.fuzz.parser import Parser
from tests.fuzz.talking import answering
from tests.rig.pdf import pdf

MATERIAL = Path(__file__).with_name("material.pem")  # an authority and whom it vouches for, made by seeds.py
COVERED = b"valeur SIMULATION"
ASKED = TimestampRequest(b"", bytes(32), 0x5349_4D55_4C41)
DAY = timedelta(days=1)
LIMIT = 5.0  # seconds
WHEN = datetime(2026, 12, 1, tzinfo=UTC)
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
PDF_WORDS = (
    b"%PDF-1.7",
    b"/ByteRange [",
    b"/Contents <",
    b"/Type /Sig",
    b"/SubFilter /ETSI.CAdES.detached",
    b"/Prev ",
    b"xref",
    b"trailer",
    b"startxref",
    b"/AcroForm",
    b"/Fields [",
    b"/Kids [",
    b"/Parent ",
    b"/ObjStm",
    b"/XRef",
    b" 0 R",
    b"obj",
    b"stream\n",
    b"/Filter /FlateDecode",
    b"/Encrypt",
    b"/Perms",
    b"/DocMDP",
    b"/Reference [",
    b"/V ",
    b"%%EOF",
)


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


def _file(data: bytes) -> BinaryIO:
    """The bytes as an open file that has a number."""
    file = os.memfd_create("document")
    os.write(file, data)
    return os.fdopen(file, "r+b")


class _Here(PdfProcess):
    """The PDF process's work, in this process."""

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """Answer as it does."""
        answer = _answered(request, io.BufferedRandom(SharedFile(os.dup(document.fileno()))))
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer


class _Broken(_Here):
    """A PDF process that the document has taken over, and that says ``told``."""

    def __init__(self, told: bytes) -> None:
        super().__init__()
        self._told = told

    def ask(self, _: BinaryIO, __: Request) -> Answer:
        """Answer as it wants."""
        told = answering(framed(self._told), lambda link: receive_answer(link, time.monotonic() + LIMIT))
        answer: Answer = told.answer  # type: ignore[attr-defined]
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer


def _pdf(data: bytes) -> None:
    with _file(data) as document:
        verify_pades(document, _Here())


def _pdf_to_sign(data: bytes) -> None:
    stamp = Stamp(1, (10.0, 10.0, 90.0, 40.0), ("SIMULATION",), None)
    for asked in (Place(WHEN, 4096), Place(WHEN, 4096, field="signature", reason="SIMULATION", stamp=stamp)):
        with _file(data) as document:
            _Here().ask(document, asked)


def _picture(data: bytes) -> None:
    """The bytes as the picture of a visible signature."""
    with _file(pdf()) as document:
        _Here().ask(document, Place(WHEN, 4096, stamp=Stamp(1, (10.0, 10.0, 90.0, 40.0), ("SIMULATION",), data)))


def _pdf_process(data: bytes) -> None:
    with _file(pdf()) as document:
        verify_pades(document, _Broken(data))


def _asked_of_pdf(data: bytes) -> None:
    """The bytes as the daemon's request, which has no file here."""
    answering(data, receive_request)


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
_PDF = ("cardd.formats.pades", "cardd.formats.pdf.fields", "cardd.formats.pdf.updates")
_REVOCATION = ("cardd.formats.revocation",)
_LEFT = (CarddError, Broken)

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
    "pdf": Parser(_pdf, _PDF, longest=16_384, words=PDF_WORDS),
    "pdf_to_sign": Parser(_pdf_to_sign, (*_PDF, "cardd.formats.pdf.appearance"), longest=16_384, words=PDF_WORDS),
    "pdf_picture": Parser(_picture, ("cardd.formats.pdf.appearance",), longest=16_384),
    "pdf_process": Parser(_pdf_process, ("cardd.formats.pdf.wire", "cardd.formats.pades"), _LEFT, longest=16_384),
    "asked_of_pdf": Parser(_asked_of_pdf, ("cardd.formats.pdf.wire", "cardd.frames"), (*_LEFT, ValueError)),
}
