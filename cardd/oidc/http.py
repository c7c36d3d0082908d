"""HTTP to the provider: JSON answers, and errors of cardd's own.

What may pass (no connection, a reset, half an answer, 429, 5xx) is PscUnavailable. A GET is tried again twice; a POST
never, its caller knows whether it may be.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from yarl import URL

from cardd.errors import CarddError, PscCertificate, PscClientRefused, PscUnavailable
from cardd.http import NO_HEADERS, Connectors, Headers, HttpAnswer, HttpClient, HttpFault, Limits, Why
from cardd.ports import Clock

PAUSES = (0.25, 1.0)  # seconds before the second and the third try of a GET


class Http:
    """Connections to one provider. ``tls`` and ``connectors`` as in ``HttpClient``."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        connectors: Connectors | None = None,
        timeout: float = 15.0,
    ) -> None:
        self._client = HttpClient(Limits(total=timeout), tls=tls, connectors=connectors)

    async def close(self) -> None:
        """Give the connections back; further requests raise PscUnavailable."""
        await self._client.close()

    async def get(self, url: str, headers: Headers = NO_HEADERS) -> HttpAnswer:
        """Return what is there. Raises PscUnavailable after three tries, PscCertificate, PscClientRefused."""
        for pause in PAUSES:
            try:
                return await self.send("GET", url, headers=headers)
            except PscUnavailable:
                await asyncio.sleep(pause)
        return await self.send("GET", url, headers=headers)

    async def post(self, url: str, form: Mapping[str, str], headers: Headers = NO_HEADERS) -> HttpAnswer:
        """Send a form, once. Raises PscUnavailable, PscCertificate, PscClientRefused."""
        return await self.send("POST", url, form, headers=headers)

    async def send(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        *,
        json: Mapping[str, str] | None = None,
        headers: Headers = NO_HEADERS,
        timeout: float | None = None,
    ) -> HttpAnswer:
        """Send any request, once; ``timeout`` (seconds) where the answer may wait for a person. Raises as ``post``."""
        try:
            answer = await self._client.request(method, url, form, json=json, headers=headers, timeout=timeout)
        except HttpFault as fault:
            raise _told(fault.why, _host(url)) from fault
        if answer.status == 429 or answer.status >= 500:
            raise PscUnavailable(host=_host(url))
        return answer


def seconds_ahead(answer: HttpAnswer, clock: Clock) -> float | None:
    """Return by how much the other side's clock is ahead of this one; None where it does not tell the time."""
    return None if answer.date is None else (answer.date - clock.now()).total_seconds()


def _told(why: Why, host: str) -> CarddError:
    match why:
        case Why.UNTRUSTED:
            return PscCertificate(host=host)
        case Why.REFUSED_US:
            return PscClientRefused()
        case _:
            return PscUnavailable(host=host)


def _host(url: str) -> str:
    try:
        return URL(url).host or ""
    except ValueError:
        return url
