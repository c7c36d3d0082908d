"""Documents apart from the requests that name them: handed over, fetched and forgotten, each a MiB at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import BinaryIO

from aiohttp import web

from cardd.api.call import Call, Reply
from cardd.api.router import OCTETS
from cardd.api.schemas.signatures import DocumentAnswer
from cardd.documents.held import HeldDocument
from cardd.errors import BodyTooLarge, DocumentEmpty, RequestTimeout, UnsupportedMediaType
from cardd.formats.document import PIECE, filled, with_space


async def hand_over(call: Call) -> Reply:
    """Keep the body as a document of the session.

    Raises UnsupportedMediaType, BodyTooLarge, DocumentEmpty, DocumentsFull, RequestTimeout when it stops coming,
    DocumentNoSpace, SessionClosed, SessionExpired when the session ends before it is there.
    """
    if call.http.content_type != OCTETS or "Content-Encoding" in call.http.headers:
        raise UnsupportedMediaType
    limit = call.limits.document
    if (call.http.content_length or 0) > limit:
        raise BodyTooLarge(limit=limit)
    call.services.held.check_room(call.session, call.http.content_length or 0)
    with with_space(), filled() as content:
        with call.services.held.coming(call.session) as more:
            size, digest = await _take(call, content, limit, more)
        if size == 0:
            raise DocumentEmpty
        call.services.held.check_room(call.session, size)  # another may have come meanwhile
    held = hold(call, content, OCTETS)
    return Reply(201, _described(held, digest), {"Location": f"/v1/sessions/{call.session.id}/documents/{held.id}"})


async def fetch(call: Call) -> web.StreamResponse:
    """The document as it is. Raises DocumentUnknown."""
    held = call.services.held.find(call.session, call.path["document"])
    headers = {**call.headers, "Content-Type": held.media_type, "Content-Length": str(held.size)}
    response = web.StreamResponse(headers=headers)
    with call.services.held.open(call.session, held.id) as content:
        await response.prepare(call.http)
        while piece := await asyncio.to_thread(content.read, PIECE):
            await response.write(piece)
    await response.write_eof()
    return response


async def forget(call: Call) -> Reply:
    """Drop it. Raises DocumentUnknown."""
    call.services.held.drop(call.session, call.path["document"])
    return Reply(204)


def hold(call: Call, content: BinaryIO, media_type: str) -> HeldDocument:
    """Have the session hold this file. Raises SessionClosed, SessionExpired when it ended while the file was made."""
    with ExitStack() as undo:
        undo.callback(content.close)
        call.services.sessions.ensure_open(call.session)
        undo.pop_all()
    return call.services.held.hold(call.session, content, media_type)


async def _take(call: Call, content: BinaryIO, limit: int, more: Callable[[int], None]) -> tuple[int, bytes]:
    """Write the body to the file: its size and SHA-256. ``more`` is told of each piece before it is written."""
    digest, size = hashlib.sha256(), 0
    while piece := await _piece(call):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit=limit)
        more(len(piece))
        digest.update(piece)
        await asyncio.to_thread(content.write, piece)
    return size, digest.digest()


async def _piece(call: Call) -> bytes:
    """About a MiB, less only at the end. Raises RequestTimeout when nothing comes for too long."""
    piece = bytearray()
    try:
        while len(piece) < PIECE and not call.http.content.at_eof():
            async with asyncio.timeout(call.limits.read_timeout):
                piece += await call.http.content.readany()
    except TimeoutError:
        raise RequestTimeout from None
    return bytes(piece)


def _described(held: HeldDocument, digest: bytes) -> DocumentAnswer:
    return DocumentAnswer(held.id, held.size, digest, held.media_type, held.expires_at)
