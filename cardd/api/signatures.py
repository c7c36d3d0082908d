"""POST …/signatures: one signature, or a list under one consent."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, suppress

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.documents import hold
from cardd.api.formats import document_of, options_of
from cardd.api.schemas.signatures import (
    SetDocumentBody,
    SignatureAnswer,
    SignatureBody,
    SignatureItem,
    SignaturesAnswer,
    SignaturesBody,
)
from cardd.core.consent import Batch
from cardd.documents.requests import SignedDocument, ToSign
from cardd.errors import DocumentUnknown, InvalidRequest
from cardd.model import Algorithm

DIGEST_SIZE = hashlib.sha256().digest_size
SHAPE: Shape[SignatureBody | SignaturesBody] = Shape(
    SignatureBody, SignaturesBody, choose=lambda fields: SignaturesBody if "signatures" in fields else SignatureBody
)


async def sign(call: Call, body: SignatureBody | SignaturesBody) -> Reply:
    """Consent, PIN, card, audit row; then the signatures, all or none."""
    batch = Batch(body.batch.name, body.batch.count) if body.batch else None
    if isinstance(body, SignatureBody):
        [answer] = await _signed(call, [(body, "$")], batch)
        return Reply(body=answer)
    items = [(item, f"$.signatures[{n}]") for n, item in enumerate(body.signatures)]
    return Reply(body=SignaturesAnswer(await _signed(call, items, batch)))


async def _signed(call: Call, items: list[tuple[SignatureItem, str]], batch: Batch | None) -> list[SignatureAnswer]:
    with ExitStack() as files:
        requests = [_request(call, item, where, files) for item, where in items]
        every = await call.services.documents.sign(call.session, requests, batch)
    answers = [_answer(call, item, signed) for (item, _), signed in zip(items, every, strict=True)]
    _forget_signed(call, [item for item, _ in items])
    return answers


def _request(call: Call, item: SignatureItem, where: str, files: ExitStack) -> ToSign:
    wanted = 0 if item.format == "submission_set" else 1
    if sum(given is not None for given in (item.digest, item.document, item.document_id)) != wanted:
        raise InvalidRequest(where=where, why="one_of_digest_document")
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
    """Drop what was handed over for these signatures, which several of them may share."""
    sets = (item.submission_set for item in items)
    every: list[SignatureItem | SetDocumentBody] = [
        *items,
        *(one for found in sets if found for one in found.documents),
    ]
    for identifier in {one.document_id for one in every if one.document_id is not None}:
        with suppress(DocumentUnknown):  # its time is over, or its sender was faster
            call.services.held.drop(call.session, identifier)
