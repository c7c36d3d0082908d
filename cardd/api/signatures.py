"""POST …/signatures: one signature, or a list under one consent."""

from __future__ import annotations

import hashlib

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas import SignatureAnswer, SignatureBody, SignatureItem, SignaturesAnswer, SignaturesBody
from cardd.core.consent import Batch, SignatureRequest
from cardd.core.signing import Signed
from cardd.errors import InvalidRequest
from cardd.model import Algorithm, Message

DIGEST_SIZE = hashlib.sha256().digest_size
SHAPE: Shape[SignatureBody | SignaturesBody] = Shape(
    SignatureBody, SignaturesBody, choose=lambda keys: SignaturesBody if "signatures" in keys else SignatureBody
)


async def sign(call: Call, body: SignatureBody | SignaturesBody) -> Reply:
    """Consent, PIN, card, audit row; then the signatures, all or none."""
    batch = Batch(body.batch.name, body.batch.count) if body.batch else None
    if isinstance(body, SignatureBody):
        [signed] = await call.services.signing.sign(call.session, [_request(body, "$")], batch)
        return Reply(body=_described(signed))
    requests = [_request(item, f"$.signatures[{n}]") for n, item in enumerate(body.signatures)]
    every = await call.services.signing.sign(call.session, requests, batch)
    return Reply(body=SignaturesAnswer([_described(signed) for signed in every]))


def _request(item: SignatureItem, where: str) -> SignatureRequest:
    return SignatureRequest(
        Algorithm(item.algorithm) if item.algorithm else None, _message(item, where), item.document_name, item.patient
    )


def _message(item: SignatureItem, where: str) -> Message:
    if (item.digest is None) == (item.document is None):
        raise InvalidRequest(where=where, why="one_of_digest_document")
    if item.document is not None:
        return Message(hashlib.sha256(item.document).digest(), item.document)
    if item.digest is None or len(item.digest) != DIGEST_SIZE:
        raise InvalidRequest(where=f"{where}.digest", why="expected", expected=f"base64({DIGEST_SIZE})")
    return Message(item.digest)


def _described(signed: Signed) -> SignatureAnswer:
    return SignatureAnswer(signed.algorithm.value, signed.signature, signed.certificate, list(signed.chain))
