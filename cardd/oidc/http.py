"""HTTP to the provider: small answers, short waits, no redirects, no cookies, and errors of cardd's own.

An answer is at most ``ANSWER_MAX`` bytes, asked for uncompressed. What may pass (no connection, a reset, half an
answer, 429, 5xx) is PscUnavailable. A GET is tried again twice; a POST never, its caller knows whether it may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from cardd.errors import (
    CarddError,
    PscCertificate,
    PscClientRefused,
    PscUnavailable,
    UpstreamError,
    UpstreamRefusedUs,
    UpstreamUntrusted,
)
from cardd.oidc.fields import JsonObject, parse
from cardd.ports import Clock

ANSWER_MAX = 256 * 1024
CONNECT_LIMIT = 5.0
PAUSES = (0.25, 1.0)  # before the second and the third try of a GET
CONNECTIONS = 32
Server = tuple[str, int]  # host and port
Connectors = Callable[[str, int], aiohttp.BaseConnector]
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "cardd"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``media_type`` is lower case, without parameters. The body may hold tokens: it is not shown.

    ``date`` is when the other side says that it answered.
    """

    status: int
    media_type: str
    body: bytes
    cookies: Mapping[str, str] = field(default_factory=dict)
    date: datetime | None = None

    def json(self, what: str) -> JsonObject:
        """The body as a JSON object. Raises PscGarbled."""
        return parse(self.body, what)

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.media_type}>"


class Http:
    """Connections to one provider. Made and closed on the event loop.

    ``tls`` decides whom we trust and which client certificate is shown, the system's authorities and none by default;
    ``connectors`` takes its place where the certificate's key is no file's, and makes connections to one server each.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        connectors: Connectors | None = None,
        timeout: float = 15.0,
    ) -> None:
        self._tls = tls
        self._connectors = connectors
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_LIMIT)
        self._sessions: dict[Server | None, aiohttp.ClientSession] = {}
        self._closed = False

    async def close(self) -> None:
        """Give the connections back; further requests raise PscUnavailable."""
        self._closed = True
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """What is there. Raises PscUnavailable after three tries, PscCertificate, PscClientRefused."""
        for pause in PAUSES:
            try:
                return await self._once("GET", url, None, headers)
            except PscUnavailable:
                await asyncio.sleep(pause)
        return await self._once("GET", url, None, headers)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """Send a form, once. Raises PscUnavailable, PscCertificate, PscClientRefused."""
        return await self._once("POST", url, form, headers)

    async def send(
        self,
        method: str,
        url: str,
        *,
        json: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Any request, once; ``timeout`` (seconds) where the answer may wait for a person. Raises as ``post``."""
        return await self._once(method, url, None, headers, json=json, timeout=timeout)

    async def _once(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        *,
        json: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        target = URL(url)
        if self._closed:
            raise PscUnavailable(host=target.host or "")
        try:
            async with self._opened(target).request(
                method,
                target,
                data=form,
                json=json,
                headers=headers,
                allow_redirects=False,
                timeout=self._limits(timeout),
            ) as response:
                body = await _read(response)
                if response.status == 429 or response.status >= 500:
                    raise PscUnavailable(host=target.host or "")
                cookies = {name: morsel.value for name, morsel in response.cookies.items()}
                return Answer(response.status, response.content_type.lower(), body, cookies, _date(response))
        except (aiohttp.ClientError, TimeoutError, OSError, UpstreamError) as fault:
            raise _told(fault, target.host or "") from fault

    def _limits(self, total: float | None) -> aiohttp.ClientTimeout:
        return self._timeout if total is None else aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_LIMIT)

    def _opened(self, target: URL) -> aiohttp.ClientSession:
        server = (target.host or "", target.port or 0) if self._connectors else None
        if server not in self._sessions:
            self._sessions[server] = aiohttp.ClientSession(
                connector=self._connector(server),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                timeout=self._timeout,
                auto_decompress=False,
                trust_env=False,  # it would read a netrc file too
            )
        return self._sessions[server]

    def _connector(self, server: Server | None) -> aiohttp.BaseConnector:
        if self._connectors and server:
            return self._connectors(*server)
        return aiohttp.TCPConnector(ssl=self._tls or True, limit=CONNECTIONS)


def seconds_ahead(answer: Answer, clock: Clock) -> float | None:
    """By how much the other side's clock is ahead of this one; None where it does not tell the time."""
    return None if answer.date is None else (answer.date - clock.now()).total_seconds()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_MAX:
            raise aiohttp.ClientPayloadError("larger than any answer should be")
    return bytes(body)


def _date(response: aiohttp.ClientResponse) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError):  # none, or no date, or one beyond all dates
        return parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
    return None


def _told(fault: Exception, host: str) -> CarddError:
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | UpstreamUntrusted):
        return PscCertificate(host=host)
    if isinstance(fault, UpstreamRefusedUs):
        return PscClientRefused()
    # the other side's alert: it wants another client certificate than it was shown, or one at all
    if any("_ALERT_" in str(getattr(link, "reason", "")) for link in _chain(fault) if isinstance(link, ssl.SSLError)):
        return PscClientRefused()
    return PscUnavailable(host=host)


def _chain(fault: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while fault is not None and len(chain) < 8:
        chain.append(fault)
        fault = fault.__cause__ or fault.__context__
    return chain
