"""…/upstreams, and ANY …/upstreams/{name}/{path}: requests relayed to a configured server; bodies pass as they come.

An answer that ends within ``WHOLE`` bytes is read before its head is passed on, so that a server that hangs up in the
middle of it gives a problem with a code. Of a longer answer, and of one that comes with pauses, the connection is cut,
as an HTTP server itself would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import ClientError, ClientResponse, web
from multidict import CIMultiDict

from cardd.api.answers import Reply
from cardd.api.call import Call, invite, next_piece
from cardd.api.parts import ApiLimits
from cardd.api.schemas.sessions import UpstreamsAnswer
from cardd.config import Upstream
from cardd.errors import BodyTooLarge, CarddError, InvalidRequest, UpstreamAnswerTooLarge
from cardd.relay.upstream import readable, target, to_caller, to_upstream

WHOLE = 64 * 1024
PAUSE = 0.2  # seconds; an answer without a length that keeps silent for so long is passed on from then
RELAYED = "Cardd-Upstream"  # says that the answer is a server's, and which one's
EMPTY = (204, 304)


async def list_names(call: Call) -> Reply:
    """Return which servers there are; nothing is asked of them."""
    known = call.parts.relay.upstreams
    return Reply(body=UpstreamsAnswer(known.names("https"), known.names("tls")))


async def relay(call: Call) -> web.StreamResponse:
    """Return the server's answer. A caller that hangs up ends the request, so that a PIN never serves it twice."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    keep_on = call.on_hang_up(task.cancel)
    try:
        return await _relayed(call)
    finally:
        keep_on()


async def _relayed(call: Call) -> web.StreamResponse:
    from cardd.relay.pool import UpstreamRequest  # noqa: PLC0415 - aiohttp's client, when it is first needed

    upstream = call.parts.relay.upstreams.named(call.path["name"], "https")
    query = call.http.raw_path.partition("?")[2]
    address = target(upstream, call.http.method, "/" + call.path["path"], query)
    headers = to_upstream(call.http.headers, upstream.headers)
    body = await _body(call.http, upstream, call.limits, headers)
    sent = UpstreamRequest(call.http.method, address, headers, body)
    async with call.parts.relay.request(call.session, upstream, sent) as (answer, pool):
        own = {**call.headers, RELAYED: upstream.name}
        told = to_caller(answer.headers, own, is_page=call.page is not None)
        size = answer.content_length
        if size is not None and size > upstream.max_body and call.http.method != "HEAD":
            raise UpstreamAnswerTooLarge(name=upstream.name, limit=upstream.max_body)
        if call.http.method == "HEAD" or answer.status in EMPTY or (size is not None and size <= WHOLE):
            with pool.reading():
                content = await answer.read()
            return _whole(call, answer, told, content)
        with pool.reading():
            begun = b"" if size else await _beginning(answer)
        if answer.content.at_eof():
            return _whole(call, answer, told, begun)
        return await _stream(call, answer, told, begun, upstream)


async def _body(
    http: web.BaseRequest, upstream: Upstream, limits: ApiLimits, headers: CIMultiDict[str]
) -> bytes | AsyncIterator[bytes] | None:
    """Return bytes when the body is small, else a stream. Raises BodyTooLarge, InvalidRequest, RequestTimeout."""
    size = http.content_length
    if (size or 0) > upstream.max_body:
        raise BodyTooLarge(limit=upstream.max_body)
    if not http.body_exists:
        return None
    if http.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise InvalidRequest(where="Transfer-Encoding", why="expected", expected="chunked")
    invite(http)
    parts = _parts(http, upstream.max_body, limits.read_timeout)
    if size is None:
        return parts
    headers["Content-Length"] = str(size)
    return b"".join([part async for part in parts]) if size <= WHOLE else parts


async def _parts(http: web.BaseRequest, limit: int, patience: float) -> AsyncIterator[bytes]:
    size = 0
    while part := await next_piece(http, patience):
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit=limit)
        yield part


def _whole(call: Call, answer: ClientResponse, headers: CIMultiDict[str], content: bytes) -> web.StreamResponse:
    if call.http.method == "HEAD" and "Content-Length" in answer.headers:
        headers["Content-Length"] = answer.headers["Content-Length"]
    body = None if call.http.method == "HEAD" or answer.status in EMPTY else content
    return web.Response(status=answer.status, reason=readable(answer.reason or ""), headers=headers, body=body)


async def _beginning(answer: ClientResponse) -> bytes:
    """Return what comes within ``WHOLE`` bytes and without a pause: a small answer of unknown length is whole."""
    begun = bytearray()
    with suppress(TimeoutError):
        while len(begun) <= WHOLE and not answer.content.at_eof():
            async with asyncio.timeout(PAUSE):
                begun += await answer.content.readany()
    return bytes(begun)


async def _stream(
    call: Call, answer: ClientResponse, headers: CIMultiDict[str], begun: bytes, upstream: Upstream
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=readable(answer.reason or ""), headers=headers)
    response.content_length = answer.content_length
    await response.prepare(call.http)
    try:
        await _pass_on(answer, response, begun, upstream)
    except (ClientError, CarddError, OSError):
        # the head is out: only a connection that ends tells the caller that the body is not whole
        if call.http.transport is not None:
            call.http.transport.abort()
        return response
    await response.write_eof()
    return response


async def _pass_on(answer: ClientResponse, response: web.StreamResponse, begun: bytes, upstream: Upstream) -> None:
    size = len(begun)
    if begun:
        await response.write(begun)
    async for part in answer.content.iter_any():
        size += len(part)
        if size > upstream.max_body:
            raise UpstreamAnswerTooLarge(name=upstream.name, limit=upstream.max_body)
        await response.write(part)
