"""What every answer carries, and how one that is whole is written.

Head and body are one piece of bytes, of which most are the same each time; aiohttp's own Response, which can do more,
takes as long as gate, route and handler together. Streams are written by aiohttp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

from aiohttp import HttpVersion, HttpVersion10, web
from aiohttp.helpers import rfc822_formatted_time
from msgspec import Struct
from msgspec.json import Encoder

from cardd.values import Record, field

REQUEST = "X-Request-ID"
EXPOSED_HEADERS = "Location, Retry-After, X-Request-ID"
PROBLEM = "application/problem+json"

COMMON = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",  # an image or a script of a page learns of no answer
    "Referrer-Policy": "no-referrer",
    "Server": "",
    "X-Content-Type-Options": "nosniff",
}

# What everyone gets who may not even ask: constant, so that it tells nothing.
TERSE = b'{"type":"about:blank","title":"Forbidden","status":403,"code":"request.forbidden"}'

_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # in a header: it could end it, and begin another
_BODILESS = frozenset((204, 304))  # RFC 9110, 15.3.5 and 15.4.5: neither a body nor its length

_encoder = Encoder()


class Reply(Record):
    """An HTTP response: a status, a body (a schema, JSON already written, or none), and headers of its own."""

    status: int = 200
    body: Struct | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def content(self) -> bytes | None:
        """Return the body as bytes, which it is from now on."""
        if isinstance(self.body, Struct):
            self.body = _encoder.encode(self.body)
        return self.body


def telling_of(request: str, origin: str | None) -> dict[str, str]:
    """Return the headers that tell of a request: its name, and that the page of this origin may read its answer."""
    if origin is None:
        return {REQUEST: request}
    return {
        REQUEST: request,
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        "Vary": "Origin",
    }


class WholeAnswer:
    """An answer as aiohttp's connection takes it in place of a response of its own.

    ``told`` are the headers that tell of its request. The connection is kept where it ``keep_alive``; None leaves that
    to who asked.
    """

    def __init__(self, reply: Reply, told: Mapping[str, str], *, keep_alive: bool | None = None) -> None:
        self.status = reply.status
        self.keep_alive = keep_alive
        self._reply = reply
        self._told = told
        self._http: web.BaseRequest | None = None

    async def prepare(self, http: web.BaseRequest) -> None:
        """Write all of it. Raises ConnectionResetError where nobody is left to read it."""
        self._http = http
        self.write(http)

    async def write_eof(self) -> None:
        """Wait until the other end has taken enough of it."""
        if self._http is not None:
            await self._http.writer.drain()

    def write(self, http: web.BaseRequest) -> None:
        """Write it to the connection of its request. Raises ConnectionResetError."""
        transport = http.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        if self.keep_alive is None:
            self.keep_alive = http.keep_alive
        content = self._reply.content()
        head = self.head(http.version)
        transport.write(head if content is None or http.method == "HEAD" else head + content)

    def head(self, version: HttpVersion) -> bytes:
        """Return the head of the answer. Raises ValueError for a header that would begin another one."""
        reply, content = self._reply, self._reply.content()
        own = {**self._told, **reply.headers}
        if content is not None:
            own["Content-Type"] = reply.media_type
        if reply.status not in _BODILESS:
            own["Content-Length"] = str(len(content or b""))
        own["Date"] = rfc822_formatted_time()
        if self.keep_alive and version == HttpVersion10:
            own["Connection"] = "keep-alive"
        elif not self.keep_alive and version != HttpVersion10:
            own["Connection"] = "close"
        lines = _COMMON + _lines(own) if own.keys().isdisjoint(COMMON) else _lines({**COMMON, **own})
        return f"HTTP/{version.major}.{version.minor} {_status(reply.status)}\r\n{lines}\r\n".encode()


@cache
def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _lines(headers: Mapping[str, str]) -> str:
    """Return the lines of a head. Raises ValueError for a value that would end its line."""
    if _UNFIT.search("".join(headers.values())):
        raise ValueError("a header has a control character")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


_COMMON = _lines(COMMON)


def terse() -> WholeAnswer:
    """Return the refusal that everyone gets who does not pass the gate; it ends the connection."""
    return WholeAnswer(Reply(403, TERSE, media_type=PROBLEM), {}, keep_alive=False)
