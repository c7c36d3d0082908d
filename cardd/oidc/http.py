"""HTTP to the provider, and what it says no with, told as cardd's errors.

What may pass (no connection, a reset, half an answer, 429, 5xx) is PscUnavailable. A GET is tried again twice; a POST
never, its caller knows whether it may be.

Refusals have the codes of RFC 6749 5.2 and of CIBA Core 11 and 13. Keycloak, which PSC is, has its own use of some:
401 ``unauthorized_client`` for wrong credentials, ``invalid_grant`` "Client not allowed OIDC CIBA Grant" for a service
without CIBA, ``invalid_request`` "invalid_user" for an unknown login hint.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL

from cardd.errors import (
    CarddError,
    PscCertificate,
    PscClientRefused,
    PscDenied,
    PscExpired,
    PscGarbled,
    PscLoginHintUnknown,
    PscNoCiba,
    PscRedeemed,
    PscRequestRefused,
    PscUnavailable,
)
from cardd.http import NO_HEADERS, Connectors, Headers, HttpAnswer, HttpClient, HttpFault, Limits, Why
from cardd.oidc.fields import parse
from cardd.ports import Clock

PAUSES = (0.25, 1.0)  # seconds before the second and the third try of a GET
ERROR_FIELDS = ("error", "error_description")
_SHOWN = re.compile(r"[a-z_]{1,64}")
_ERRORS: dict[str, type[CarddError]] = {
    "invalid_client": PscClientRefused,
    "unauthorized_client": PscClientRefused,
    "access_denied": PscDenied,
    "expired_token": PscExpired,
    "invalid_grant": PscRedeemed,
    "unknown_user_id": PscLoginHintUnknown,
}


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """An OAuth error code, empty where the answer has none; ``description`` is compared, never shown."""

    error: str
    status: int = 400
    description: str = ""

    def as_error(self) -> CarddError:
        """Return the error of its own that the code has, or PscRequestRefused with the code."""
        kind = _ERRORS.get(self.error)
        if kind is not None:
            return kind()
        return PscRequestRefused(error=self.error if _SHOWN.fullmatch(self.error) else f"HTTP {self.status}")

    def as_start_error(self) -> CarddError:
        """Return the error of a login by mobile that could not begin."""
        if "not allowed" in self.description or (self.error == "unauthorized_client" and self.status == 400):
            return PscNoCiba()
        if self.description == "invalid_user":
            return PscLoginHintUnknown()
        return self.as_error()


def refusal_of(answer: HttpAnswer) -> Refusal:
    """Return the refusal in an answer that is no 200. Raises PscGarbled, but for a 401 that tells no more."""
    try:
        told = parse(answer.body, "answer")
    except PscGarbled:
        if answer.status == 401:
            return Refusal("invalid_client", 401)
        raise
    error, description = (value if isinstance(value, str) else "" for value in map(told.get, ERROR_FIELDS))
    return Refusal(error, answer.status, description)


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
