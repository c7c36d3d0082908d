"""One request as the checkers and handlers see it, its body as a typed value, and the reply that they give.

Rule 10 for a body: how large it may be, how long it may take, and how much memory all of them together. Whoever is not
known sends small ones only. A large body has its room counted, for its OS user and over all, from its first byte to its
answer, and is decoded on a thread, one at a time, while the loop serves the others.

A body is decoded strictly, once its depth is checked. A key given twice is refused: two programs that read such a
document differently would not mean the same request.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

from aiohttp import HttpVersion11, web
from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cardd.api.answers import COMMON
from cardd.api.parts import ApiLimits, Parts
from cardd.core.attempts import Attempt
from cardd.core.session import Session
from cardd.errors import (
    BodyTooDeep,
    BodyTooLarge,
    ClientUnknown,
    InvalidRequest,
    NotJson,
    RequestTimeout,
    SessionUnknown,
    TooManyRequests,
    UnsupportedMediaType,
)
from cardd.model import Caller, CallerKind, Peer, Right
from cardd.request import Request
from cardd.secret import overwrite
from cardd.values import Record, Value, field

SUPPORT_CODE = "Cardd-Support-Code"

DEPTH_MAX = 16
PARTS_MAX = 4096
QUOTES_MAX = 32 * PARTS_MAX
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
WHERE_MAX = 120
RETRY_AFTER = 1
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

OnHangUp = Callable[[Callable[[], object]], Callable[[], None]]

B = TypeVar("B", bound=Struct)

_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*?)`(?: - at `(\$.*)`)?", re.DOTALL)
# msgspec's English and our word for it: the first that fits; its group is what would have been right
_REASONS = (
    (re.compile(r"Invalid (?:enum )?value .*", re.DOTALL), "choice"),
    (re.compile(r"Invalid base64 encoded string"), "base64"),
    (re.compile(r"Expected `\w+` of length (.*)"), "length"),
    (re.compile(r"Expected `str` matching regex (.*)", re.DOTALL), "pattern"),
    (re.compile(r"Expected (.*?)(?:, got .*)?", re.DOTALL), "expected"),
)
_PLACE = re.compile(r"(.*) - at `(?:key in )?(\$.*?)`", re.DOTALL)
_FIELDS = Decoder(dict[str, Raw])


class ConnectionInfo(Record):
    """What is known of a connection, for all of its requests: who is at its other end, and which Host may name it.

    ``has_client`` says that a client has made a request over it, ``is_browsers`` that a browser was seen to hold it,
    ``listens`` that events are sent over it, which must be taken in time.
    """

    is_local: bool
    hosts: frozenset[str]
    peer: Peer
    has_client: bool = False
    is_browsers: bool = False
    listens: bool = False


class Page(Value):
    """The web page that a request comes from; one whose origin is not allowed yet may ask to be let in.

    ``is_own`` says that it is our own status page; it is allowed where it has shown its pass.
    """

    origin: str
    is_allowed: bool
    is_own: bool = False


class Call(Record):
    """One request past the gate. ``path`` and ``query`` are the parameters that its route has in them.

    The route's checker fills ``who`` and ``open_session``, or raises.

    ``told`` are the headers that tell of this request in its answer. ``on_hang_up`` takes a callback for the loss of
    the connection, and returns a function that takes the callback back.
    """

    HIDDEN = frozenset({"bearer"})

    parts: Parts
    limits: ApiLimits
    bodies: Bodies
    http: web.BaseRequest
    connection: ConnectionInfo
    page: Page | None
    request: Request
    told: Mapping[str, str]
    on_hang_up: OnHangUp
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    who: Caller | None = None
    open_session: Session | None = None
    known_attempt: Attempt | None = None
    bearer: str | None = None

    def __post_init__(self) -> None:
        """Take the credential of the Authorization header; None when there is none of this kind, or several."""
        given = self.http.headers.getall("Authorization", ())
        scheme, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        self.bearer = value if scheme.lower() == "bearer" and value else None

    def forget_bearer(self) -> None:
        """Overwrite the credential: the call was answered."""
        if self.bearer is not None:
            overwrite(self.bearer)
            self.bearer = None

    @property
    def headers(self) -> dict[str, str]:
        """Return what stands on every answer to this request, for a stream."""
        return {**COMMON, **self.told}

    @property
    def peer(self) -> Peer:
        """Return the process at the other end."""
        return self.connection.peer

    @property
    def caller(self) -> Caller:
        """Return who calls, on routes that ask. Raises ClientUnknown."""
        if self.who is None:  # pragma: no cover - its route asks who calls
            raise ClientUnknown
        return self.who

    @property
    def sees_holder(self) -> bool:
        """Return whether who calls may read who the person is, and which certificates the organisation has."""
        who = self.caller
        return who.kind is not CallerKind.ORIGIN or self.parts.origins.may(who, Right.HOLDER)

    @property
    def session(self) -> Session:
        """Return the session of the call's token, on routes that ask for one. Raises SessionUnknown."""
        if self.open_session is None:  # pragma: no cover - its route asks for the token
            raise SessionUnknown
        return self.open_session

    @property
    def attempt(self) -> Attempt:
        """Return what this request may sign, with what was signed under its Idempotency-Key before."""
        return self.known_attempt or Attempt(self.parts.clock.now())

    @property
    def support_code(self) -> str | None:
        """Return the one-time code of support; None when there is none. Raises InvalidRequest for several."""
        codes = self.http.headers.getall(SUPPORT_CODE, ())
        if len(codes) > 1:
            raise InvalidRequest(where=SUPPORT_CODE, why="duplicate")
        return codes[0] or None if codes else None


class Shape(Generic[B]):
    """What a body may be: one type, or several among which ``choose`` decides by the object's fields, undecoded."""

    def __init__(self, *types: type[B], choose: Callable[[Mapping[str, Raw]], type[B]] | None = None) -> None:
        self.types = types
        self._choose = choose
        self._decoders: dict[type[B], Decoder[B]] = {}

    def decode(self, raw: bytes) -> B:
        """Return the typed body. Raises NotJson, BodyTooDeep, InvalidRequest."""
        _check_depth(raw)
        try:
            value = self._decoder(raw).decode(raw)
            _unique_keys.decode(raw.decode())
        except ValidationError as error:
            raise _invalid(str(error)) from None
        except (DecodeError, UnicodeDecodeError, ValueError):
            raise NotJson from None
        return value

    def _decoder(self, raw: bytes) -> Decoder[B]:
        chosen = self._choose(_FIELDS.decode(raw)) if self._choose else self.types[0]
        if chosen not in self._decoders:
            self._decoders[chosen] = Decoder(chosen)
        return self._decoders[chosen]


def _check_depth(raw: bytes) -> None:
    """Refuse brackets that nest deeper, or brackets or texts that are more, than any body needs. Raises BodyTooDeep.

    Brackets are counted inside of texts too: no text of this API has many. The steps are few and fast, or let other
    threads run: bodies of many MiB pass here.
    """
    count = raw.count(b"[") + raw.count(b"{")
    if count > PARTS_MAX or raw.count(b'"') > QUOTES_MAX:
        raise BodyTooDeep
    if count <= DEPTH_MAX:
        return
    depth = 0
    for bracket in b"".join(_outside_of_texts(raw)).translate(None, NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise BodyTooDeep


def _outside_of_texts(raw: bytes) -> Iterator[bytes]:
    end = 0
    while (quote := raw.find(b'"', end)) >= 0:
        yield raw[end:quote]
        end = quote + 1
        while (closing := raw.find(b'"', end)) >= 0:
            text = raw[end:closing]
            end = closing + 1
            if (len(text) - len(text.rstrip(b"\\"))) % 2 == 0:  # the quote is not escaped
                break
        if closing < 0:
            return
    yield raw[end:]


def _unique(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(where=_short(f"$.{twice}"), why="duplicate")


_unique_keys = json.JSONDecoder(object_pairs_hook=_unique)


def _invalid(told: str) -> InvalidRequest:
    """Return the error with the place and the reason that msgspec's sentence names."""
    if field := _FIELD.fullmatch(told):
        kind, name, parent = field.groups()
        why = "unknown" if kind == "contains unknown" else "missing"
        return InvalidRequest(where=_short(f"{parent or '$'}.{name}"), why=why)
    why, where = place.groups() if (place := _PLACE.fullmatch(told)) else (told, "$")
    for pattern, reason in _REASONS:
        if fits := pattern.fullmatch(why):
            return InvalidRequest(where=_short(where), why=reason, expected=_short("".join(fits.groups())))
    return InvalidRequest(where=_short(where), why="unfit")


def _short(text: str) -> str:
    return "".join(character for character in text[:WHERE_MAX] if character.isprintable())


class Bodies:
    """Reads and decodes the bodies of all requests."""

    def __init__(self, limits: ApiLimits) -> None:
        self._limits = limits
        self._held: Counter[int] = Counter()
        self._decoding = asyncio.Lock()

    @contextmanager
    def room(self, http: web.BaseRequest, who: Caller | None, uid: int) -> Iterator[int]:
        """Hold the room of a JSON body until its request is answered; give how large it may be.

        Raises UnsupportedMediaType, BodyTooLarge, TooManyRequests where there is no room.
        """
        if http.content_type != "application/json" or "Content-Encoding" in http.headers:
            raise UnsupportedMediaType
        limit = min(self._limits.body, self._limits.small_body) if who is None else self._limits.body
        size = http.content_length
        if (size or 0) > limit:
            raise BodyTooLarge(limit=limit)
        held = limit if size is None else size
        if held <= self._limits.small_body:
            yield limit
            return
        own, every = self._held[uid] + held, self._held.total() + held
        largest = self._limits.body  # one fits in any case
        if own > max(self._limits.bodies_each, largest) or every > max(self._limits.bodies, largest):
            raise TooManyRequests(retry_after=RETRY_AFTER)
        self._held[uid] += held
        try:
            yield limit
        finally:
            self._held[uid] -= held
            if not self._held[uid]:
                del self._held[uid]

    async def read(self, http: web.BaseRequest, limit: int) -> bytes:
        """Return a body as it came, which must not be kept any longer than its room.

        Raises BodyTooLarge, RequestTimeout, InvalidRequest.
        """
        if http.content.is_eof():  # all of it has come, with the head mostly
            whole = await next_piece(http, None)
            if len(whole) > limit:
                raise BodyTooLarge(limit=limit)
            return whole
        invite(http)
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.read_timeout):
                while piece := await next_piece(http, None):
                    body += piece
                    if len(body) > limit:
                        raise BodyTooLarge(limit=limit)
        except TimeoutError:
            raise RequestTimeout from None
        return bytes(body)

    async def decoded(self, shape: Shape[B], raw: bytes) -> B:
        """Return the typed body. Raises what ``Shape.decode`` raises."""
        if len(raw) <= self._limits.small_body:
            return shape.decode(raw)
        async with self._decoding:
            return await asyncio.to_thread(shape.decode, raw)


def invite(http: web.BaseRequest) -> None:
    """Tell a caller that waits for it to send its body (RFC 9110, 10.1.1)."""
    expects = http.headers.get("Expect", "").lower() == "100-continue" and http.version >= HttpVersion11
    if expects and http.transport is not None and not http.content.is_eof():
        http.transport.write(CONTINUE)


async def websocket(call: Call, message_max: int, goodbye: float) -> web.WebSocketResponse:
    """Return the WebSocket that a request asks for, open; the other end has ``goodbye`` seconds to close it.

    Raises InvalidRequest for what asks for none, or wrongly.
    """
    headers = call.http.headers
    if headers.get("Upgrade", "").strip().lower() != "websocket":
        raise InvalidRequest(where="Upgrade", why="expected", expected="websocket")
    socket = web.WebSocketResponse(compress=False, max_msg_size=message_max, timeout=goodbye)
    # aiohttp writes subprotocols that it does not know to its log, where a client's secret might be one; and what it
    # repeats of a header may be no text
    try:
        is_one = "Sec-WebSocket-Protocol" not in headers and bool(socket.can_prepare(call.http))
    except ValueError:
        is_one = False
    if not is_one:
        raise InvalidRequest(where="Upgrade", why="handshake")
    socket.headers.update(call.headers)
    await socket.prepare(call.http)
    return socket


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
        if http.content.is_eof():
            return await http.content.readany()  # what is there, which is not waited for
        async with asyncio.timeout(patience):
            return await http.content.readany()
    except OSError:  # late (TimeoutError is one), or the connection was lost
        raise RequestTimeout from None
    except web.RequestPayloadError:
        raise InvalidRequest(where="Transfer-Encoding", why="expected", expected="chunked") from None
