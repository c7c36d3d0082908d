"""POST …/signatures: one signature, or a list under one consent."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from io import BytesIO
from typing import BinaryIO

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas import SignatureAnswer, SignatureBody, SignatureItem, SignaturesAnswer, SignaturesBody
from cardd.core.consent import Batch
from cardd.documents.requests import Options, SignedDocument, ToSign
from cardd.errors import InvalidRequest
from cardd.formats.options import CadesOptions, JwsOptions, RawOptions, Serialization
from cardd.model import Algorithm

DIGEST_SIZE = hashlib.sha256().digest_size
SHAPE: Shape[SignatureBody | SignaturesBody] = Shape(
    SignatureBody, SignaturesBody, choose=lambda keys: SignaturesBody if "signatures" in keys else SignatureBody
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
    return [_answer(call, item, signed) for (item, _), signed in zip(items, every, strict=True)]


def _request(call: Call, item: SignatureItem, where: str, files: ExitStack) -> ToSign:
    if sum(given is not None for given in (item.digest, item.document, item.document_id)) != 1:
        raise InvalidRequest(where=where, why="one_of_digest_document")
    if item.digest is not None and len(item.digest) != DIGEST_SIZE:
        raise InvalidRequest(where=f"{where}.digest", why="expected", expected=f"base64({DIGEST_SIZE})")
    return ToSign(
        name=item.document_name,
        options=_options(item, where),
        document=_document(call, item, files),
        digest=item.digest,
        patient=item.patient,
        algorithm=Algorithm(item.algorithm) if item.algorithm else None,
        timestamp=item.timestamp,
    )


def _document(call: Call, item: SignatureItem, files: ExitStack) -> BinaryIO | None:
    if item.document_id is not None:
        return files.enter_context(call.services.held.open(call.session, item.document_id))
    return BytesIO(item.document) if item.document is not None else None


def _options(item: SignatureItem, where: str) -> Options:
    """The format's own. Raises InvalidRequest for what belongs to another format."""
    given = {"detached": item.detached, "mime_type": item.mime_type is not None, "jws": item.jws is not None}
    allowed = {"raw": set(), "jws": {"detached", "jws"}, "cades": {"detached", "mime_type"}}[item.format]
    for name in (name for name, is_given in given.items() if is_given and name not in allowed):
        raise InvalidRequest(where=f"{where}.{name}", why="not_of_format")
    match item.format:
        case "jws" if item.jws is not None:
            told = item.jws
            return JwsOptions(
                Serialization(told.serialization), item.detached, stamped=item.timestamp, typ=told.typ, cty=told.cty
            )
        case "jws":
            return JwsOptions(detached=item.detached, stamped=item.timestamp)
        case "cades":
            return CadesOptions(item.detached, item.mime_type)
        case "raw":
            return RawOptions()


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
        answer.document_id = call.services.held.hold(call.session, done.content, done.options.media_type).id
        call.services.held.drop(call.session, item.document_id)
    return answer
