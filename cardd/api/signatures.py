"""POST …/signatures and …/documents: documents handed over, signed under one consent, fetched and forgotten.

A document may travel apart from the requests that name it, a MiB at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO
from typing import BinaryIO

from aiohttp import web

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape, invite, next_piece
from cardd.api.router import OCTETS
from cardd.api.schemas.signatures import (
    DocumentAnswer,
    JwsBody,
    PadesBody,
    SetDocumentBody,
    SignatureAnswer,
    SignatureBody,
    SignatureItem,
    SignaturesAnswer,
    SignaturesBody,
    XadesBody,
)
from cardd.core.consents import Batch, ensure_readable
from cardd.documents.held import HeldDocument
from cardd.documents.requests import Options, SignedDocument, ToSign
from cardd.errors import (
    BodyTooLarge,
    DocumentEmpty,
    DocumentUnknown,
    InvalidRequest,
    UnsupportedMediaType,
)
from cardd.formats.document import PIECE, filled, with_space
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
from cardd.model import Algorithm

DIGEST_SIZE = hashlib.sha256().digest_size
SIGNATURE_BODY: Shape[SignatureBody | SignaturesBody] = Shape(
    SignatureBody, SignaturesBody, choose=lambda fields: SignaturesBody if "signatures" in fields else SignatureBody
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


async def hand_over(call: Call) -> Reply:
    """Keep the body as a document of the session.

    Raises UnsupportedMediaType, BodyTooLarge, DocumentEmpty, DocumentsFull, DocumentNoSpace, RequestTimeout when
    nothing more comes, SessionClosed and SessionExpired when the session ends before the document is there.
    """
    if call.http.content_type != OCTETS or "Content-Encoding" in call.http.headers:
        raise UnsupportedMediaType
    limit = call.limits.document
    if (call.http.content_length or 0) > limit:
        raise BodyTooLarge(limit=limit)
    call.parts.held.check_room(call.session, call.http.content_length or 0)
    with with_space(), filled() as content:
        with call.parts.held.coming(call.session) as more:
            size, digest = await _take(call, content, limit, more)
        if size == 0:
            raise DocumentEmpty
        call.parts.held.check_room(call.session, size)  # another may have come meanwhile
    held = hold(call, content, OCTETS, digest)
    return Reply(
        201, _document_answer(held, digest), {"Location": f"/v1/sessions/{call.session.id}/documents/{held.id}"}
    )


async def fetch(call: Call) -> web.StreamResponse:
    """Send the document as it is. Raises DocumentUnknown."""
    held = call.parts.held.find(call.session, call.path["document"])
    headers = {**call.headers, "Content-Type": held.media_type, "Content-Length": str(held.size)}
    response = web.StreamResponse(headers=headers)
    with call.parts.held.open(call.session, held.id) as content:
        await response.prepare(call.http)
        while piece := await asyncio.to_thread(content.read, PIECE):
            await response.write(piece)
    await response.write_eof()
    return response


async def forget(call: Call) -> Reply:
    """Drop the document. Raises DocumentUnknown."""
    call.parts.held.drop(call.session, call.path["document"])
    return Reply(204)


def hold(call: Call, content: BinaryIO, media_type: str, digest: bytes = b"") -> HeldDocument:
    """Have the session hold this file. Raises SessionClosed, SessionExpired when it ended while the file was made."""
    with ExitStack() as undo:
        undo.callback(content.close)
        call.parts.sessions.ensure_open(call.session)
        undo.pop_all()
    return call.parts.held.hold(call.session, content, media_type, digest)


async def _take(call: Call, content: BinaryIO, limit: int, more: Callable[[int], None]) -> tuple[int, bytes]:
    """Write the body to the file; return its size and SHA-256. ``more`` is told of each piece before it is written."""
    digest, size = hashlib.sha256(), 0
    invite(call.http)
    while piece := await _piece(call):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit=limit)
        more(len(piece))
        digest.update(piece)
        await asyncio.to_thread(content.write, piece)
    return size, digest.digest()


async def _piece(call: Call) -> bytes:
    """Return about a MiB, less only at the end. Raises what ``next_piece`` raises."""
    piece = bytearray()
    while len(piece) < PIECE and (more := await next_piece(call.http, call.limits.read_timeout)):
        piece += more
    return bytes(piece)


def _document_answer(held: HeldDocument, digest: bytes) -> DocumentAnswer:
    return DocumentAnswer(held.id, held.size, digest, held.media_type, held.expires_at)


async def sign(call: Call, body: SignatureBody | SignaturesBody) -> Reply:
    """Sign one thing or a list: consent, PIN, card, audit row; then the signatures, all or none."""
    batch = Batch(body.batch.name, body.batch.count) if body.batch else None
    if batch:
        ensure_readable(batch.name, "$.batch.name")
    if isinstance(body, SignatureBody):
        [answer] = await _signed(call, [(body, "$")], batch)
        return Reply(body=answer)
    items = [(item, f"$.signatures[{n}]") for n, item in enumerate(body.signatures)]
    return Reply(body=SignaturesAnswer(await _signed(call, items, batch)))


async def _signed(call: Call, items: list[tuple[SignatureItem, str]], batch: Batch | None) -> list[SignatureAnswer]:
    with ExitStack() as files:
        requests = [_request(call, item, where, files) for item, where in items]
        every = await call.parts.documents.sign(call.session, requests, batch, call.attempt)
    answers = [_answer(call, item, signed) for (item, _), signed in zip(items, every, strict=True)]
    _forget_signed(call, [item for item, _ in items])
    return answers


def _request(call: Call, item: SignatureItem, where: str, files: ExitStack) -> ToSign:
    ensure_readable(item.document_name, f"{where}.document_name")
    if item.patient is not None:
        ensure_readable(item.patient, f"{where}.patient")
    wanted = 0 if item.format == "submission_set" else 1
    if sum(given is not None for given in (item.digest, item.document, item.document_id)) != wanted:
        raise InvalidRequest(where=where, why="one_of_digest_document")
    if item.document == b"":
        raise DocumentEmpty
    if item.digest is not None and len(item.digest) != DIGEST_SIZE:
        raise InvalidRequest(where=f"{where}.digest", why="expected", expected=f"base64({DIGEST_SIZE})")
    return ToSign(
        name=item.document_name,
        options=options_of(call, item, where, files),
        document=document_of(call, item, files),
        digest=item.digest,
        patient=item.patient,
        algorithm=Algorithm(item.algorithm) if item.algorithm else None,
        timestamp=item.timestamp,
    )


def _answer(call: Call, item: SignatureItem, done: SignedDocument) -> SignatureAnswer:
    answer = SignatureAnswer(
        format=item.format,
        algorithm=done.signed.algorithm.value,
        certificate=done.signed.certificate,
        chain=list(done.signed.chain),
        media_type=done.options.media_type,
    )
    if item.format == "raw":
        answer.signature = done.signed.signature
    elif item.document_id is None:
        with done.content:
            answer.document = done.content.read()
    else:
        answer.document_id = hold(call, done.content, done.options.media_type).id
    return answer


def _forget_signed(call: Call, items: list[SignatureItem]) -> None:
    """Drop what was handed over for these signatures; several of them may share a document."""
    sets = (item.submission_set for item in items)
    every: list[SignatureItem | SetDocumentBody] = [
        *items,
        *(one for found in sets if found for one in found.documents),
    ]
    for identifier in {one.document_id for one in every if one.document_id is not None}:
        with suppress(DocumentUnknown):  # its time is over, or its sender was faster
            call.parts.held.drop(call.session, identifier)


def options_of(call: Call, item: SignatureItem, where: str, files: ExitStack) -> Options:
    """Return what is chosen of the item's format; ``files`` closes the documents that were handed over.

    Raises InvalidRequest for what belongs to another format, DocumentUnknown.
    """
    for name in CHOICES:
        if getattr(item, name) and name not in ALLOWED[item.format]:
            raise InvalidRequest(where=f"{where}.{name}", why="not_of_format")
    if item.format == "submission_set":
        return _submission_set(call, item, where, files)
    return PLAIN[item.format](item)


def document_of(call: Call, item: SignatureItem | SetDocumentBody, files: ExitStack) -> BinaryIO | None:
    """Return the document, from the request or handed over before; None without one. Raises DocumentUnknown."""
    if item.document_id is not None:
        return files.enter_context(call.parts.held.open(call.session, item.document_id))
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
