"""What a request says of a format, as the format takes it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from typing import BinaryIO

from cardd.api.call import Call
from cardd.api.schemas.signatures import JwsBody, PadesBody, SetDocumentBody, SignatureItem, XadesBody
from cardd.documents.requests import Options
from cardd.errors import InvalidRequest
from cardd.formats.options import (
    CadesOptions,
    CertificateProperty,
    JwsOptions,
    Packaging,
    PadesOptions,
    RawOptions,
    Serialization,
    SetDocument,
    SubmissionSetOptions,
    Visible,
    XadesOptions,
)

CHOICES = ("detached", "mime_type", "jws", "xades", "pades", "submission_set")
ALLOWED = {
    "raw": (),
    "jws": ("detached", "jws"),
    "cades": ("detached", "mime_type"),
    "xades": ("mime_type", "xades"),
    "pades": ("pades",),
    "submission_set": ("submission_set",),
}


def options_of(call: Call, item: SignatureItem, where: str, files: ExitStack) -> Options:
    """What is chosen of the item's format; ``files`` closes the documents that were handed over.

    Raises InvalidRequest for what belongs to another format, DocumentUnknown.
    """
    for name in CHOICES:
        if getattr(item, name) and name not in ALLOWED[item.format]:
            raise InvalidRequest(where=f"{where}.{name}", why="not_of_format")
    if item.format == "submission_set":
        return _submission_set(call, item, where, files)
    return PLAIN[item.format](item)


def document_of(call: Call, item: SignatureItem | SetDocumentBody, files: ExitStack) -> BinaryIO | None:
    """The document, from the request or handed over before; None where there is none. Raises DocumentUnknown."""
    if item.document_id is not None:
        return files.enter_context(call.services.held.open(call.session, item.document_id))
    return BytesIO(item.document) if item.document is not None else None


def _jws(item: SignatureItem) -> JwsOptions:
    told = item.jws or JwsBody()
    return JwsOptions(
        Serialization(told.serialization), item.detached, stamped=item.timestamp, typ=told.typ, cty=told.cty
    )


def _xades(item: SignatureItem) -> XadesOptions:
    told = item.xades or XadesBody()
    return XadesOptions(Packaging(told.packaging), item.mime_type, told.uri, CertificateProperty(told.certificate))


def _pades(item: SignatureItem) -> PadesOptions:
    told = item.pades or PadesBody()
    shown = told.visible
    visible = Visible(shown.rectangle, shown.page, shown.picture, shown.language) if shown else None
    return PadesOptions(told.reason, told.location, told.field, visible)


def _submission_set(call: Call, item: SignatureItem, where: str, files: ExitStack) -> SubmissionSetOptions:
    told = item.submission_set
    if told is None:
        raise InvalidRequest(where=f"{where}.submission_set", why="missing")
    listed = tuple(
        SetDocument(one.unique_id, document_of(call, one, files), one.is_xml, one.digest) for one in told.documents
    )
    return SubmissionSetOptions(told.unique_id, listed, told.certificates == "chain")


PLAIN: dict[str, Callable[[SignatureItem], Options]] = {
    "raw": lambda _: RawOptions(),
    "jws": _jws,
    "cades": lambda item: CadesOptions(item.detached, item.mime_type),
    "xades": _xades,
    "pades": _pades,
}
