"""POST /v1/verifications: whose signatures a document has, and whether they can be trusted."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas.verifications import VerificationAnswer, VerificationBody
from cardd.documents.report import report
from cardd.documents.verification import ToVerify
from cardd.formats.document import new_document
from cardd.i18n import language_of

SHAPE = Shape(VerificationBody)


async def verify(call: Call, body: VerificationBody) -> Reply:
    """The verdict. Raises DocumentError's classes for what cannot be read, InvalidRequest, ConfigInvalid."""
    language = language_of(call.http.headers.get("Accept-Language"))
    with ExitStack() as files:
        given = ToVerify(
            files.enter_context(new_document(body.document)),
            files.enter_context(new_document(body.content)) if body.content is not None else None,
            body.signature,
            body.certificate,
        )
        found = await call.services.verifier.verify(given)
    answer = msgspec.convert(report(found, language), VerificationAnswer)
    return Reply(body=answer, headers={"Content-Language": language})
