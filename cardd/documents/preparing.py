"""Each format's own way to prepare a document. Imported when the first document is signed: its libraries are large."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cardd.documents.requests import FormatOptions, ToSign
from cardd.errors import InvalidRequest
from cardd.formats.cades import prepare_cades, prepare_cades_digest
from cardd.formats.document import PIECE, new_document
from cardd.formats.jws import prepare_jws
from cardd.formats.options import CadesOptions, JwsOptions, PadesOptions
from cardd.formats.pades import PadesPrepared, prepare_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.prepared import Prepared, Signer
from cardd.model import Identity


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who signs, with which key, at what time."""

    signer: Signer
    identity: Identity
    now: datetime


def prepare(request: ToSign, options: FormatOptions, who: Signatory, pdf: PdfProcess) -> Prepared:
    """Ready but for the value. Blocks. Raises the format's errors, and InvalidRequest for a digest it cannot use."""
    match options:
        case JwsOptions():
            return prepare_jws(_document(request), who.signer, who.now, options)
        case CadesOptions(detached=True, mime_type=kind) if request.digest is not None:
            return prepare_cades_digest(request.digest, who.signer, who.now, mime_type=kind)
        case CadesOptions(detached=detached, mime_type=kind):
            return prepare_cades(_document(request), who.signer, who.now, detached=detached, mime_type=kind)
        case PadesOptions():
            return _pades(_document(request), options, who, pdf)


def _pades(document: BinaryIO, options: PadesOptions, who: Signatory, pdf: PdfProcess) -> PadesPrepared:
    """In a copy: the signature is written into the file, and the document may be wanted once more."""
    with ExitStack() as undo:
        copy = undo.enter_context(new_document())
        document.seek(0)
        shutil.copyfileobj(document, copy, PIECE)
        prepared = prepare_pades(copy, who.signer, who.now, options, process=pdf, who=who.identity)
        undo.pop_all()
    return prepared


def _document(request: ToSign) -> BinaryIO:
    if request.document is None:
        raise InvalidRequest(where="$.digest", why="document_wanted")
    return request.document
