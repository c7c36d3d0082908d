"""Which format a signed file is in, by how it begins; imported with the first document to verify, as its libraries."""

from __future__ import annotations

import re
from typing import BinaryIO

from asn1crypto import pem

from cardd.documents.requests import ToVerify
from cardd.errors import DocumentContentTwice, DocumentEmpty, DocumentMalformed, DocumentUnrecognised, InvalidRequest
from cardd.formats.document import new_document, size_of
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.verified import VerifiedSignature
from cardd.formats.verifying.cms import verify_cms
from cardd.formats.verifying.jws import verify_jws
from cardd.formats.verifying.pades import verify_pades
from cardd.formats.verifying.raw import verify_raw
from cardd.formats.verifying.submission_set import verify_submission_set
from cardd.formats.verifying.xades import verify_xades

HEAD = 1024
PEM_MAX = 16 * 1024 * 1024
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
SEQUENCE = b"\x30"
_JWS = re.compile(rb"\s*e[wy][\w-]{8,}[\w.\s-]*\Z")  # base64url of a JSON object, which is longer than the head


def signatures_of(given: ToVerify, pdf: PdfProcess) -> list[VerifiedSignature]:
    """Its signatures, whatever its format. Blocks.

    Raises DocumentUnrecognised, InvalidRequest for half a raw signature, DocumentContentTwice, and what the formats'
    own functions do.
    """
    if given.documents or given.signature is not None or given.certificate is not None:
        return [_submission_set(given) if given.documents else _raw(given)]
    document = given.document
    head = _head(document)
    if not head.strip():
        raise DocumentEmpty
    if head.startswith(b"%PDF-"):
        if given.content is not None:
            raise DocumentContentTwice
        return verify_pades(document, pdf)
    if head.startswith(BOMS) or head.lstrip().startswith(b"<"):
        return verify_xades(document, given.content)
    if head.startswith(SEQUENCE):
        return verify_cms(document, given.content)
    if pem.detect(head):
        return _armored(document, given.content)
    if head.lstrip().startswith(b"{") or _JWS.match(head):
        return verify_jws(document, given.content)
    raise DocumentUnrecognised


def _submission_set(given: ToVerify) -> VerifiedSignature:
    if (given.content, given.signature, given.certificate) != (None, None, None):
        raise DocumentContentTwice
    return verify_submission_set(given.document, given.documents)


def _raw(given: ToVerify) -> VerifiedSignature:
    if given.signature is None or given.certificate is None:
        missing = "signature" if given.signature is None else "certificate"
        raise InvalidRequest(where=f"$.{missing}", why="missing")
    if given.content is not None:
        raise DocumentContentTwice
    return verify_raw(given.document, given.signature, given.certificate)


def _head(document: BinaryIO) -> bytes:
    document.seek(0)
    return document.read(HEAD)


def _armored(document: BinaryIO, content: BinaryIO | None) -> list[VerifiedSignature]:
    """CMS as PEM (RFC 7468)."""
    if size_of(document) > PEM_MAX:
        raise DocumentMalformed(format="CMS")
    document.seek(0)
    try:
        _, _, der = pem.unarmor(document.read())
    except ValueError as fault:
        raise DocumentMalformed(format="CMS") from fault
    with new_document(der) as message:
        return verify_cms(message, content)
