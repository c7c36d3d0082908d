"""POST /v1/verifications: whose signatures a document has, and whether they can be trusted."""

from __future__ import annotations

from contextlib import ExitStack
from typing import BinaryIO

import msgspec

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.verifications import OfSetBody, VerificationAnswer, VerificationBody
from cardd.documents.requests import ToVerify
from cardd.errors import InvalidRequest
from cardd.formats.document import new_document, with_space
from cardd.i18n import language_of

VERIFICATION_BODY = Shape(VerificationBody)


async def verify(call: Call, body: VerificationBody) -> Reply:
    """Return the verdict. Raises DocumentError's classes for what cannot be read, InvalidRequest, ConfigInvalid."""
    from cardd.documents.report import report  # noqa: PLC0415 - with the first document to verify

    language = language_of(call.http.headers.get("Accept-Language"))
    with with_space(), ExitStack() as files:
        given = ToVerify(
            files.enter_context(new_document(body.document)),
            files.enter_context(new_document(body.content)) if body.content is not None else None,
            body.signature,
            body.certificate,
            _documents(body.documents or [], files),
        )
        found = await call.parts.verifier.verify(given, call.peer.uid)
    answer = msgspec.convert(report(found, language), VerificationAnswer)
    return Reply(body=answer, headers={"Content-Language": language})


def _documents(listed: list[OfSetBody], files: ExitStack) -> dict[str, BinaryIO]:
    """Return the documents by ``uniqueId``. Raises InvalidRequest for one that is there twice."""
    named: dict[str, BinaryIO] = {}
    for number, one in enumerate(listed):
        if one.unique_id in named:
            raise InvalidRequest(where=f"$.documents[{number}].unique_id", why="duplicate")
        named[one.unique_id] = files.enter_context(new_document(one.document))
    return named
