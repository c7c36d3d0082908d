"""Each format's own way to prepare a document. Imported when the first document is signed: its libraries are large."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cardd.documents.requests import FormatOptions, ToSign
from cardd.errors import InvalidRequest
from cardd.formats.cades import prepare_cades, prepare_cades_digest
from cardd.formats.document import filled, pieces
from cardd.formats.jws import prepare_jws
from cardd.formats.options import CadesOptions, JwsOptions, Packaging, PadesOptions, SubmissionSetOptions, XadesOptions
from cardd.formats.pades import PadesPrepared, prepare_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.prepared import Prepared, Signer
from cardd.formats.submission_set import prepare_submission_set
from cardd.formats.xades import prepare_xades, prepare_xades_digest
from cardd.model import Identity


@dataclass(frozen=True, slots=True)
class Signatory:
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
        case XadesOptions():
            return prepare_xades(document, who.signer, who.now, options)


def _pades(
    document: BinaryIO, options: PadesOptions, who: Signatory, pdf: PdfProcess, undo: ExitStack
) -> PadesPrepared:
    """In a copy: the signature is written into the file, and the document may be wanted once more."""
    with filled() as copy:
        copy.writelines(pieces(document))
        prepared = prepare_pades(copy, who.signer, who.now, options, process=pdf, who=who.identity)
    undo.callback(copy.close)  # not earlier: whoever gives up meanwhile must not close it under our hands
    return prepared


def _document(request: ToSign) -> BinaryIO:
    if request.document is None:
        raise InvalidRequest(where="$.digest", why="document_wanted")
    return request.document
