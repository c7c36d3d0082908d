"""Each format's own way to prepare a document, and which format a signed file is in, by how it begins.

Imported with the first document that is signed or verified: the formats' libraries are large.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import datetime
from typing import BinaryIO

from asn1crypto import pem

from cardd.documents.requests import FormatOptions, ToSign, ToVerify
from cardd.errors import (
    DocumentAmbiguous,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentMalformed,
    DocumentUnrecognised,
    InvalidRequest,
)
from cardd.formats.cades import prepare_cades, prepare_cades_digest, verify_cms
from cardd.formats.document import filled, new_document, pieces, size_of
from cardd.formats.jws import prepare_jws, verify_jws
from cardd.formats.options import CadesOptions, JwsOptions, Packaging, PadesOptions, SubmissionSetOptions, XadesOptions
from cardd.formats.pades import PadesPrepared, prepare_pades, verify_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.prepared import Prepared, Signer
from cardd.formats.raw import verify_raw
from cardd.formats.submission_set import prepare_submission_set, verify_submission_set
from cardd.formats.verified import VerifiedSignature
from cardd.formats.xades import prepare_xades, prepare_xades_digest
from cardd.formats.xades_read import verify_xades
from cardd.model import Identity
from cardd.values import Value

HEAD = 1024
PEM_MAX = 16 * 1024 * 1024
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
SEQUENCE = b"\x30"
PEM_BEGIN = b"-----BEGIN "
_PEM_END = re.compile(rb"^-----END [^\r\n]*-----\Z", re.MULTILINE)
_JWS = re.compile(rb"\s*e[wy][\w-]{8,}[\w.\s-]*\Z")  # base64url of a JSON object, which is longer than the head


class Signatory(Value):
    """Who signs, with which key, at what time."""

    signer: Signer
    identity: Identity
    now: datetime


def prepare(request: ToSign, options: FormatOptions, who: Signatory, pdf: PdfProcess, undo: ExitStack) -> Prepared:
    """Ready but for the value; ``undo`` closes what nothing comes of. Blocks.

    Raises the format's errors, and InvalidRequest for a digest it cannot use.
    """
    match options:
        case SubmissionSetOptions():
            return prepare_submission_set(options, who.signer, who.now)
        case CadesOptions(detached=True) | XadesOptions(packaging=Packaging.DETACHED) if request.digest is not None:
            return _of_digest(request.digest, options, who)
        case PadesOptions():
            return _pades(_document(request), options, who, pdf, undo)
        case _:
            return _of_document(_document(request), options, who)


def _of_digest(digest: bytes, options: CadesOptions | XadesOptions, who: Signatory) -> Prepared:
    if isinstance(options, XadesOptions):
        return prepare_xades_digest(digest, who.signer, who.now, options)
    return prepare_cades_digest(digest, who.signer, who.now, mime_type=options.mime_type)


def _of_document(document: BinaryIO, options: JwsOptions | CadesOptions | XadesOptions, who: Signatory) -> Prepared:
    match options:
        case JwsOptions():
            return prepare_jws(document, who.signer, who.now, options)
        case CadesOptions(detached=detached, mime_type=kind):
            return prepare_cades(document, who.signer, who.now, detached=detached, mime_type=kind)
    return prepare_xades(document, who.signer, who.now, options)


def _pades(
    document: BinaryIO, options: PadesOptions, who: Signatory, pdf: PdfProcess, undo: ExitStack
) -> PadesPrepared:
    """Prepare a copy: the signature is written into the file, and the document may be wanted once more."""
    with filled() as copy:
        copy.writelines(pieces(document))
        prepared = prepare_pades(copy, who.signer, who.now, options, process=pdf, who=who.identity)
    undo.callback(copy.close)  # not earlier: whoever gives up meanwhile must not close it under our hands
    return prepared


def _document(request: ToSign) -> BinaryIO:
    if request.document is None:
        raise InvalidRequest(where="$.digest", why="document_wanted")
    return request.document


def signatures_of(given: ToVerify, pdf: PdfProcess) -> list[VerifiedSignature]:
    """Return the signatures of a document, whatever its format. Blocks.

    Raises DocumentUnrecognised, InvalidRequest for half a raw signature, DocumentContentTwice, DocumentEmpty for a
    document that is, or whose content is, and what the formats' own functions do.
    """
    _require_contents(given.document, given.content, *given.documents.values())
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


def _require_contents(*files: BinaryIO | None) -> None:
    if any(file is not None and not size_of(file) for file in files):
        raise DocumentEmpty  # as in signing


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
    """CMS as PEM (RFC 7468), and nothing beside it: a text around would be taken for what was signed."""
    if size_of(document) > PEM_MAX:
        raise DocumentMalformed(format="CMS")
    document.seek(0)
    text = document.read().strip()
    try:
        _, headers, der = pem.unarmor(text)
    except ValueError as fault:
        raise DocumentMalformed(format="CMS") from fault
    if headers or not text.startswith(PEM_BEGIN) or text.count(PEM_BEGIN) > 1 or not _PEM_END.search(text):
        raise DocumentAmbiguous(what="PEM", why="around")
    with new_document(der) as message:
        return verify_cms(message, content)
