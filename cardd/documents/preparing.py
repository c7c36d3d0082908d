"""Each format's own way to prepare a document. Imported when the first document is signed: its libraries are large."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

from cardd.documents.requests import FormatOptions, ToSign
from cardd.errors import InvalidRequest
from cardd.formats.cades import prepare_cades, prepare_cades_digest
from cardd.formats.jws import prepare_jws
from cardd.formats.options import CadesOptions, JwsOptions
from cardd.formats.prepared import Prepared, Signer


def prepare(request: ToSign, options: FormatOptions, signer: Signer, now: datetime) -> Prepared:
    """Ready but for the value. Blocks. Raises the format's errors, and InvalidRequest for a digest it cannot use."""
    match options:
        case JwsOptions():
            return prepare_jws(_document(request), signer, now, options)
        case CadesOptions(detached=True, mime_type=kind) if request.digest is not None:
            return prepare_cades_digest(request.digest, signer, now, mime_type=kind)
        case CadesOptions(detached=detached, mime_type=kind):
            return prepare_cades(_document(request), signer, now, detached=detached, mime_type=kind)


def _document(request: ToSign) -> BinaryIO:
    if request.document is None:
        raise InvalidRequest(where="$.digest", why="document_wanted")
    return request.document
