"""HTTP to the timestamp authority (RFC 3161, section 3.4): one small request, one small answer, no redirects."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from cardd.errors import TimestampUnavailable

ANSWER_MAX = 128 * 1024
CONNECT_LIMIT = 5.0
CONNECTIONS = 8
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "cardd", "Content-Type": QUERY, "Accept": REPLY}


class TimestampHttp:
    """Connections to one authority, kept for a batch. Made and closed on the event loop.

    ``tls`` decides whom an https address may belong to, the system's authorities by default. Over http, the token's
    own signature is what tells that nobody changed it.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None, *, timeout: float = 15.0) -> None:
        self._url = URL(url)
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_LIMIT)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(self, request: bytes) -> bytes:
        """The authority's answer to a timestamp request, both DER. Raises TimestampUnavailable."""
        try:
            async with self._opened().post(self._url, data=request, allow_redirects=False) as response:
                if response.status != 200 or response.content_type.lower() != REPLY:
                    raise self._unavailable()
                return await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise self._unavailable() from fault

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        answer = bytearray()
        async for chunk in response.content.iter_any():
            answer += chunk
            if len(answer) > ANSWER_MAX:
                raise self._unavailable()
        return bytes(answer)

    def _unavailable(self) -> TimestampUnavailable:
        return TimestampUnavailable(host=self._url.host or "")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls or True, limit=CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                timeout=self._timeout,
                auto_decompress=False,
                trust_env=False,  # it would read a netrc file too
            )
        return self._session
