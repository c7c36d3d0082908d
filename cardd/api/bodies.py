"""Request bodies (rule 10): how large, how long they may take, and how much memory all of them together.

Whoever is not known sends small ones only. A large body has its room counted, for its OS user and over all, from its
first byte to its answer, and is decoded on a thread, one at a time, while the loop serves the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

from aiohttp import HttpVersion11, web
from msgspec import Struct

from cardd.api.parts import ApiLimits
from cardd.errors import BodyTooLarge, InvalidRequest, RequestTimeout, TooManyRequests, UnsupportedMediaType
from cardd.model import Caller

if TYPE_CHECKING:
    from cardd.api.call import Shape

RETRY_AFTER = 1
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

B = TypeVar("B", bound=Struct)


class Bodies:
    """Reads and decodes the bodies of all requests."""

    def __init__(self, limits: ApiLimits) -> None:
        self._limits = limits
        self._held: Counter[int] = Counter()
        self._decoding = asyncio.Lock()

    @asynccontextmanager
    async def reading(self, http: web.BaseRequest, who: Caller | None, uid: int) -> AsyncIterator[bytes]:
        """Give the JSON body of this caller of this OS user as it came, which must not be kept any longer.

        Raises UnsupportedMediaType, BodyTooLarge, RequestTimeout, InvalidRequest, TooManyRequests without room.
        """
        if http.content_type != "application/json" or "Content-Encoding" in http.headers:
            raise UnsupportedMediaType
        limit = self._limit(who)
        size = http.content_length
        if (size or 0) > limit:
            raise BodyTooLarge(limit=limit)
        with self._room(uid, limit if size is None else size):
            yield await self._whole(http, limit)

    async def decoded(self, shape: Shape[B], raw: bytes) -> B:
        """Return the typed body. Raises what ``Shape.decode`` raises."""
        if len(raw) <= self._limits.small_body:
            return shape.decode(raw)
        async with self._decoding:
            return await asyncio.to_thread(shape.decode, raw)

    def _limit(self, who: Caller | None) -> int:
        return min(self._limits.body, self._limits.small_body) if who is None else self._limits.body

    @contextmanager
    def _room(self, uid: int, size: int) -> Iterator[None]:
        """Hold the room of a body that is not small. Raises TooManyRequests."""
        if size <= self._limits.small_body:
            yield
            return
        own, every = self._held[uid] + size, self._held.total() + size
        largest = self._limits.body  # one fits in any case
        if own > max(self._limits.bodies_each, largest) or every > max(self._limits.bodies, largest):
            raise TooManyRequests(retry_after=RETRY_AFTER)
        self._held[uid] += size
        try:
            yield
        finally:
            self._held[uid] -= size
            if not self._held[uid]:
                del self._held[uid]

    async def _whole(self, http: web.BaseRequest, limit: int) -> bytes:
        invite(http)
        body = bytearray()
        try:
            async with asyncio.timeout(None if http.content.is_eof() else self._limits.read_timeout):
                while piece := await next_piece(http, None):
                    body += piece
                    if len(body) > limit:
                        raise BodyTooLarge(limit=limit)
        except TimeoutError:
            raise RequestTimeout from None
        return bytes(body)


def invite(http: web.BaseRequest) -> None:
    """Tell a caller that waits for it to send its body (RFC 9110, 10.1.1)."""
    expects = http.headers.get("Expect", "").lower() == "100-continue" and http.version >= HttpVersion11
    if expects and http.transport is not None and not http.content.is_eof():
        http.transport.write(CONTINUE)


async def next_piece(http: web.BaseRequest, patience: float | None) -> bytes:
    """Return what came next of a body, nothing at its end.

    Raises RequestTimeout when nothing comes for ``patience`` seconds, or its sender has gone; InvalidRequest for what
    is no chunk.
    """
    if http.content.at_eof():
        return b""
    if http.transport is None and not http.content.is_eof():
        raise RequestTimeout
    try:
        async with asyncio.timeout(patience):
            return await http.content.readany()
    except OSError:  # late (TimeoutError is one), or the connection was lost
        raise RequestTimeout from None
    except web.RequestPayloadError:
        raise InvalidRequest(where="Transfer-Encoding", why="expected", expected="chunked") from None
