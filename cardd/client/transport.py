"""Requests to the daemon and their answers: where it listens, one HTTP connection pool, problems raised as errors.

The client talks to a Unix socket's path or to a loopback address, and to nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import BinaryIO, TypeVar
from uuid import uuid4

import aiohttp
from msgspec import Struct
from msgspec.json import Decoder, Encoder, decode
from multidict import CIMultiDict
from yarl import URL

from cardd.client.listener import SocketPlace
from cardd.client.tunnel import Tunnel
from cardd.errors import (
    AuditSlow,
    CardAmbiguous,
    CarddError,
    DaemonSilent,
    DaemonUnproven,
    DaemonUnreachable,
    InternalError,
    InvalidRequest,
    Param,
    SocketExposed,
    errors_by_code,
)
from cardd.values import Value

SOCKET = Path("/run/cardd/cardd.sock")
LOOPBACK = {"localhost": "127.0.0.1"}  # not asked of a resolver

_URL = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost):(\d{1,5})/?")

TEXTS = ("title", "detail", "remedy")
CONNECT_LIMIT = 5.0
ANSWER_LIMIT = 60.0  # seconds for what the daemon answers by itself
PERSON_LIMIT = 900.0  # for what a person is asked first; the daemon's own dialogs end long before
ATTEMPTS = 2
SWITCHED = 101
GOODBYE = 2.0  # seconds, for the daemon's answer to the end of a tunnel
BUFFER = 256 * 1024

Sent = bytes | AsyncIterator[bytes] | None

A = TypeVar("A", bound=Struct)

_encoder = Encoder()


class Address(Value):
    """Where the daemon listens; ``socket`` is None over TCP, ``url`` is the API's root as HTTP names it."""

    url: str
    socket: Path | None = None

    def __str__(self) -> str:
        return str(self.socket or self.url)


def address(base: Path | str) -> Address:
    """Return the address of a socket's path, or of ``http://127.0.0.1:PORT``, ``[::1]`` or ``localhost``.

    Raises InvalidRequest for any other address, before a connection is made: a client's secret must not leave this
    machine, and a name that the network resolves could lead anywhere.
    """
    if isinstance(base, Path) or "://" not in base:
        return Address("http://localhost", Path(base))
    match = _URL.fullmatch(base)
    if match is None:
        raise InvalidRequest(where="url", why="http://127.0.0.1:PORT")
    return Address(f"http://{LOOPBACK.get(match[1], match[1])}:{match[2]}")


class Problem(Struct):
    """What a problem may hold; ``code`` tells which error it is."""

    code: str
    title: str = ""
    detail: str = ""
    remedy: str = ""
    where: str | None = None
    reason: str | None = None
    tries_left: int | None = None
    retry_after: int | None = None
    limit: int | None = None
    cards: tuple[str, ...] = ()


_decoder = Decoder(Problem)


def error_of(raw: bytes) -> CarddError | None:
    """Return the error, None when this is no problem of cardd.

    The error's ``params`` have the numbers of the problem and, as the daemon wrote them in the caller's language,
    ``title``, ``detail`` and ``remedy``. A code that this version does not know becomes InternalError with the param
    ``code``.
    """
    try:
        problem = _decoder.decode(raw)
    except (ValueError, RecursionError):
        return None
    known, params = errors_by_code().get(problem.code), _params(problem)
    if known is None:
        return InternalError.received(code=problem.code, **params)
    error = known.received(**params)
    if isinstance(error, CardAmbiguous):
        error.cards = problem.cards
    return error


def _params(problem: Problem) -> dict[str, Param]:
    params: dict[str, Param] = {name: text for name in TEXTS if (text := getattr(problem, name))}
    for name in ("where", "reason", "tries_left", "retry_after", "limit"):
        value = getattr(problem, name)
        if value is not None:
            params[name] = value
    return params


class Reply:
    """An HTTP response that is no problem: status, headers and body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Transport:
    """HTTP to one address, in one language. ``open`` and ``close`` belong together."""

    def __init__(
        self, where: Address, language: str | None, secret: str | None = None, *, answer_limit: float = ANSWER_LIMIT
    ) -> None:
        self._where = where
        self._answer_limit = answer_limit
        self.secret = secret
        self._place = SocketPlace(where.socket) if where.socket else None
        self._proven = where.socket is not None  # each request looks who can listen there
        self._headers = {"Accept-Language": language} if language else {}
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Prepare; nothing is sent yet."""
        connector = aiohttp.UnixConnector(str(self._place.path)) if self._place else aiohttp.TCPConnector()
        self._http = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            skip_auto_headers=("Accept-Encoding",),
            auto_decompress=False,  # the daemon compresses nothing: whoever has its port could fill our memory
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Give the connections back."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def get(self, path: str, kind: type[A], bearer: str | None = None) -> A:
        """Return a GET's answer."""
        return self.read(await self.call("GET", path, bearer=bearer), kind)

    async def post(self, path: str, body: object, kind: type[A], bearer: str | None = None) -> A:
        """Return the answer to a POST that is safe to send twice: both requests have one Idempotency-Key.

        The second request is sent when the connection breaks, so that what was signed is not lost, and not signed
        again.
        """
        headers = {"Idempotency-Key": uuid4().hex}
        return self.read(await self.call("POST", path, body, bearer=bearer, headers=headers, attempts=ATTEMPTS), kind)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = None,
        headers: dict[str, str] | None = None,
        attempts: int = 1,
    ) -> Reply:
        """Send one request. Raises the error of the daemon's problem, or DaemonUnreachable."""
        sent = None if body is None else _encoder.encode(body)
        limit = self._answer_limit if method == "GET" else PERSON_LIMIT
        while True:
            attempts -= 1
            try:
                if bearer and not self._proven:
                    await self._demand_proof()
                return await self._once(method, path, sent, _headers(bearer, headers, sent), limit)
            except DaemonUnreachable:
                self._proven = self._where.socket is not None  # who comes back may be another
                if attempts == 0:
                    raise
            except AuditSlow:  # under the same key, what the card signed comes once the disk has taken it
                if attempts == 0:
                    raise

    async def upload(self, path: str, content: BinaryIO, kind: type[A], bearer: str | None) -> A:
        """Return the answer to a POST of bytes, read from the file's present position. Raises as ``call``."""
        if bearer and not self._proven:
            await self._demand_proof()
        headers = {**_headers(bearer, None, None), "Content-Type": "application/octet-stream"}
        return self.read(await self._once("POST", path, content, headers, PERSON_LIMIT), kind)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Yield an answer to be read as it comes. Raises as ``call``; a broken one raises DaemonUnreachable."""
        if bearer and not self._proven:
            await self._demand_proof()
        sent = None if body is None else _encoder.encode(body)
        async with self._request(method, path, sent, _headers(bearer, headers, sent), None) as answer:
            if answer.status != 200:
                raise self._refused(await answer.read())
            yield answer.content

    @asynccontextmanager
    async def relay(
        self, method: str, path: str, headers: Mapping[str, str], body: Sent, bearer: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send any request and yield its answer, whatever it is, with bodies as they come.

        Raises DaemonUnreachable, DaemonUnproven. ``path`` is sent as it is, encoded; the answer's body is not decoded.
        """
        if self._http is None:
            raise RuntimeError("the client is used inside its `async with`")
        self._refuse_strangers()
        if not self._proven:
            await self._demand_proof()
        sent: CIMultiDict[str] = CIMultiDict(headers)
        sent["Authorization"] = f"Bearer {bearer}"
        try:
            async with self._http.request(
                method,
                URL(self._where.url + path, encoded=True),
                data=body,
                headers=sent,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT),
                allow_redirects=False,
                auto_decompress=False,
                read_bufsize=BUFFER,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise self.unreachable(fault) from fault

    @asynccontextmanager
    async def tunnel(self, path: str, bearer: str) -> AsyncIterator[Tunnel]:
        """Yield the bytes of a WebSocket. Raises DaemonUnreachable, DaemonUnproven, and why there is none."""
        if self._http is None:
            raise RuntimeError("the client is used inside its `async with`")
        self._refuse_strangers()
        if not self._proven:
            await self._demand_proof()
        try:
            async with (
                aiohttp.ClientSession(
                    connector=self._http.connector,
                    connector_owner=False,
                    headers=self._http.headers,
                    raise_for_status=self._raise_unless_switched,
                ) as session,
                session.ws_connect(
                    self._where.url + path,
                    headers=_headers(bearer, None, None),
                    timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE),
                ) as socket,
            ):
                yield Tunnel(socket, str(self._where), error_of)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise self.unreachable(fault) from fault

    async def _raise_unless_switched(self, answer: aiohttp.ClientResponse) -> None:
        """Raise the refusal, which aiohttp would drop."""
        if answer.status != SWITCHED:
            raise self._refused(await answer.read())

    def read(self, reply: Reply, kind: type[A]) -> A:
        """Return the body as a value. Raises DaemonUnreachable when no cardd wrote it."""
        try:
            return decode(reply.body, type=kind)
        except (ValueError, RecursionError):
            raise self.unreachable() from None

    async def _demand_proof(self) -> None:
        """Ask, before the first secret goes out over TCP, whether the daemon knows it. Raises DaemonUnproven."""
        if self.secret is None:
            return  # a session of another process: there is nothing to prove it with
        challenge = token_urlsafe(32)
        client = self.secret.partition(".")[0]
        answer = await self._once("GET", "/v1/status", None, {"Cardd-Challenge": f"{client} {challenge}"}, ANSWER_LIMIT)
        given = answer.headers.get("Cardd-Proof", "")
        if not hmac.compare_digest(given, _expected_proof(self.secret, challenge, self._where.url)):
            raise DaemonUnproven(where=self._where.url)
        self._proven = True

    async def _once(
        self, method: str, path: str, sent: bytes | BinaryIO | None, headers: dict[str, str], limit: float
    ) -> Reply:
        async with self._request(method, path, sent, headers, limit) as answer:
            body = await answer.read()
            if answer.status >= 300:
                raise self._refused(body)
            return Reply(answer.status, dict(answer.headers), body)

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, sent: bytes | BinaryIO | None, headers: dict[str, str], limit: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._http is None:
            raise RuntimeError("the client is used inside its `async with`")
        self._refuse_strangers()
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=CONNECT_LIMIT)
        try:
            async with self._http.request(
                method,
                self._where.url + path,
                data=io.BytesIO(sent) if isinstance(sent, bytes) else sent,  # large plain bytes make aiohttp warn
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise self.unreachable(fault) from fault

    def _refuse_strangers(self) -> None:
        """Look, before anything is sent, whether another user could have put the socket there. Raises SocketExposed."""
        if self._place is None:
            return
        try:
            stranger = self._place.stranger()
        except OSError as fault:
            raise self.unreachable() from fault
        if stranger is not None:
            raise SocketExposed(where=str(self._where), owner=stranger)

    def _refused(self, body: bytes) -> CarddError:
        return error_of(body) or self.unreachable()

    def unreachable(self, fault: Exception | None = None) -> DaemonUnreachable:
        """Return the error for when nobody answers, or somebody else than cardd, or for a connection that broke."""
        match fault:
            case aiohttp.ClientConnectorError() | None:
                return DaemonUnreachable(where=str(self._where))
            case TimeoutError():
                return DaemonSilent(where=str(self._where), why="late")
            case _:
                return DaemonSilent(where=str(self._where), why="closed")


def _expected_proof(secret: str, challenge: str, url: str) -> str:
    """Return the proof of docs/api.md: HMAC-SHA256 keyed with the secret's SHA-256."""
    key = hashlib.sha256(secret.encode()).digest()
    message = "\0".join(("cardd proof", challenge, url.removeprefix("http://"))).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _headers(bearer: str | None, headers: dict[str, str] | None, sent: bytes | None) -> dict[str, str]:
    told = dict(headers or {})
    if bearer:
        told["Authorization"] = f"Bearer {bearer}"
    if sent is not None:
        told["Content-Type"] = "application/json"
    return told
