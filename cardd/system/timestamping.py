"""HTTP to the timestamp authority (RFC 3161, section 3.4): one small request, one small answer."""

from __future__ import annotations

import ssl

from yarl import URL

from cardd.errors import TimestampUnavailable
from cardd.http import HttpClient, HttpFault, Limits
from cardd.outward import DIRECT, Outward

ANSWER_MAX = 128 * 1024
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
HEADERS = {"Content-Type": QUERY, "Accept": REPLY}


class TimestampHttp:
    """Connections to one authority, kept for a batch, made and closed on the event loop.

    ``tls`` decides whom an https address may belong to, the system's authorities by default. Over http, the token's own
    signature is what tells that nobody changed it.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext | None = None, *, timeout: float = 15.0, outward: Outward = DIRECT
    ) -> None:
        self._url = url
        self._http = HttpClient(Limits(size=ANSWER_MAX, total=timeout, connections=8), tls=tls, outward=outward)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def exchange(self, request: bytes) -> bytes:
        """Return the authority's answer to a timestamp request, both DER. Raises TimestampUnavailable."""
        try:
            answer = await self._http.request("POST", self._url, request, headers=HEADERS)
        except HttpFault as fault:
            raise self._unavailable() from fault
        if answer.status != 200 or answer.media_type != REPLY:
            raise self._unavailable()
        return answer.body

    def _unavailable(self) -> TimestampUnavailable:
        return TimestampUnavailable(host=URL(self._url).host or "")
