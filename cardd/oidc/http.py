"""HTTP to the provider, and what it says no with, told as cardd's errors.

What may pass (no connection, a reset, half an answer, 429, 5xx) is PscUnavailable. A GET is tried again twice; a POST
never, its caller knows whether it may be.

Refusals have the codes of RFC 6749 5.2 and of CIBA Core 11 and 13. Keycloak, which PSC is, has its own use of some:
401 ``unauthorized_client`` for wrong credentials, ``invalid_grant`` "Client not allowed OIDC CIBA Grant" for a service
without CIBA, ``invalid_request`` "invalid_user" for an unknown login hint.
"""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote_plus

from yarl import URL

from cardd.errors import (
    CarddError,
    PscBehindProxy,
    PscBlocked,
    PscBusy,
    PscCertificate,
    PscCertificateEarly,
    PscCertificateExpired,
    PscCertificateName,
    PscCertificateUnknown,
    PscClientRefused,
    PscConnectionRefused,
    PscDenied,
    PscExpired,
    PscFailing,
    PscGarbled,
    PscLoginHintUnknown,
    PscNameUnknown,
    PscNoCiba,
    PscRedeemed,
    PscRequestRefused,
    PscSecretWrong,
    PscSilent,
    PscUnavailable,
)
from cardd.http import NO_HEADERS, Connectors, Headers, HttpAnswer, HttpClient, HttpFault, Limits, Why
from cardd.oidc.tokens import Token, parse
from cardd.outward import DIRECT, Outward
from cardd.ports import Clock
from cardd.values import Value

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

NAME_MAX = 120  # characters of a name in a certificate that nobody vouches for
RETRY_AFTER_MAX = 300.0  # seconds: whoever waits for a login has given up by then
ERROR_FIELDS = ("error", "error_description")
FAILED_FOR = 5.0  # seconds that an answer that did not come is not asked for again
_SHOWN = re.compile(r"[a-z_]{1,64}")
_ERRORS: dict[str, type[CarddError]] = {
    "invalid_client": PscClientRefused,
    "unauthorized_client": PscClientRefused,
    "access_denied": PscDenied,
    "expired_token": PscExpired,
    "invalid_grant": PscRedeemed,
    "unknown_user_id": PscLoginHintUnknown,
}

UNAUTHORIZED, BUSY = 401, 429
AWAY: Mapping[Why, type[PscUnavailable]] = {
    Why.NO_NAME: PscNameUnknown,
    Why.CLOSED: PscConnectionRefused,
    Why.LATE: PscSilent,
    Why.BLOCKED: PscBlocked,
}
UNTRUSTED: Mapping[str, type[PscCertificate]] = {
    "expired": PscCertificateExpired,
    "early": PscCertificateEarly,
    "name": PscCertificateName,
    "authority": PscCertificateUnknown,
}

T = TypeVar("T")
Form = Mapping[str, str | Token]
CIBA_GRANT = "urn:openid:params:grant-type:ciba"
FORM = "application/x-www-form-urlencoded"
SAFE = {ord(one): one.encode() for one in f"{ascii_letters}{digits}-._~"}


def encoded(form: Form) -> bytearray:
    """Return a form as it is sent (application/x-www-form-urlencoded); whoever sends it wipes it.

    A token goes from its page into the body and nowhere else.
    """
    out = bytearray()
    for name, value in form.items():
        out += (b"&" if out else b"") + quote_plus(name).encode() + b"="
        if isinstance(value, str):
            out += quote_plus(value).encode()
            continue
        with value.view() as view:
            before = out
            out = bytearray(len(before) + 3 * len(view))  # at once: what grows leaves copies behind
            out[: len(before)] = before
            end = len(before)
            for byte in view:
                part = SAFE.get(byte) or b"%%%02X" % byte
                out[end : end + len(part)] = part
                end += len(part)
            before[:] = bytes(len(before))
            del out[end:]
    return out


class Patience(Value):
    """How many seconds an answer may take, and how many pass before the second and the third try of a GET."""

    answer: float = 15.0
    pauses: tuple[float, ...] = (0.25, 1.0)


PATIENT = Patience()


class Http:
    """Connections to one provider. ``tls``, ``connectors`` and ``outward`` as in ``HttpClient``."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        connectors: Connectors | None = None,
        outward: Outward = DIRECT,
        patience: Patience = PATIENT,
    ) -> None:
        self._patience = patience
        self._client = HttpClient(Limits(total=patience.answer), tls=tls, connectors=connectors, outward=outward)

    async def close(self) -> None:
        """Give the connections back; further requests raise PscUnavailable."""
        await self._client.close()

    async def get(self, url: str, headers: Headers = NO_HEADERS) -> HttpAnswer:
        """Return what is there. Raises PscUnavailable after three tries, PscCertificate, PscClientRefused.

        A provider that wants to be left alone for longer is not tried again here.
        """
        for pause in self._patience.pauses:
            try:
                return await self.send("GET", url, headers=headers)
            except PscUnavailable as away:
                if away.retry_after is not None and away.retry_after > pause:
                    raise
                await asyncio.sleep(pause)
        return await self.send("GET", url, headers=headers)

    async def post(self, url: str, form: Form, headers: Headers = NO_HEADERS) -> HttpAnswer:
        """Send a form, once. Raises PscUnavailable, PscCertificate, PscClientRefused."""
        return await self.send("POST", url, form, headers=headers)

    async def send(
        self,
        method: str,
        url: str,
        form: Form | None = None,
        *,
        json: Mapping[str, str] | None = None,
        headers: Headers = NO_HEADERS,
        timeout: float | None = None,
    ) -> HttpAnswer:
        """Send any request, once; ``timeout`` (seconds) where the answer may wait for a person. Raises as ``post``."""
        body = encoded(form) if form is not None else None
        sent = {**headers, "Content-Type": FORM} if form is not None else headers
        try:
            answer = await self._client.request(method, url, body, json=json, headers=sent, timeout=timeout)
        except HttpFault as fault:
            raise await self._told(fault, url) from fault
        finally:
            if body is not None:
                body[:] = bytes(len(body))
        after = None if answer.retry_after is None else math.ceil(answer.retry_after)
        if answer.status == BUSY:
            raise PscBusy(host=_host(url), reason="busy", retry_after=after)
        if answer.status >= 500:
            raise PscFailing(host=_host(url), reason="failing", answered=answer.status, retry_after=after)
        return answer

    async def _told(self, fault: HttpFault, url: str) -> CarddError:
        host = _host(url)
        match fault.why:
            case Why.UNTRUSTED:
                shown = await self._client.certificate_of(url)
                kind = UNTRUSTED.get(fault.about, PscCertificate)
                return kind(host=host, reason=fault.about, **(_read(shown) if shown else {}))
            case Why.REFUSED_US:
                return PscClientRefused(reason="certificate")
            case Why.PROXY:
                return PscBehindProxy(host=host, reason="proxy", why=fault.about)
            case why:
                return AWAY.get(why, PscUnavailable)(host=host, reason=why.value)


class SharedFetch(Generic[T]):
    """One fetch at a time for all who want it: they share its wait and its end.

    Else a silent provider would keep logins waiting one after another. That it is away is known for a moment: who
    comes then is told at once.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._running: asyncio.Future[T] | None = None
        self._waiting = 0
        self._away: PscUnavailable | None = None
        self._away_until = 0.0

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._running is not None and not self._running.done()

    async def __call__(self) -> T:
        """Return what was fetched now. Raises what ``fetch`` raises, PscUnavailable for a moment after it did."""
        if self._away is not None and self._clock.monotonic() < self._away_until:
            raise self._away.again()
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._fetched())
        running = self._running
        self._waiting += 1
        try:
            return await asyncio.shield(running)
        finally:
            self._waiting -= 1
            if not self._waiting:  # nobody wants it any more
                running.cancel()
                self._running = None

    async def _fetched(self) -> T:
        try:
            found = await self._fetch()
        except PscUnavailable as away:
            self._away, pause = away, max(FAILED_FOR, min(away.retry_after or 0, RETRY_AFTER_MAX))
            self._away_until = self._clock.monotonic() + pause
            raise
        self._away = None
        return found


class Refusal(Value):
    """An OAuth error code, empty where the answer has none; ``description`` is compared, never shown."""

    error: str
    status: int = 400
    description: str = ""
    secret_of: str | None = None  # the client id, where a secret was the proof

    def as_error(self) -> CarddError:
        """Return the error of its own that the code has, or PscRequestRefused with the code."""
        kind = _ERRORS.get(self.error)
        if kind is PscClientRefused and self.secret_of is not None and self.status == UNAUTHORIZED:
            return PscSecretWrong(reason="secret", client_id=self.secret_of)
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
        if answer.status == UNAUTHORIZED:
            return Refusal("invalid_client", UNAUTHORIZED)
        raise
    error, description = (value if isinstance(value, str) else "" for value in map(told.get, ERROR_FIELDS))
    return Refusal(error, answer.status, description)


def seconds_ahead(answer: HttpAnswer, clock: Clock) -> float | None:
    """Return by how much the other side's clock is ahead of this one; None where it does not tell the time."""
    return None if answer.date is None else (answer.date - clock.now()).total_seconds()


def _read(der: bytes) -> dict[str, str]:
    """Return whose certificate it is, by whom, from when and until when; nothing where it is none."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - for the rare one that is refused

    try:
        found = load_der_x509_certificate(der)
        return {
            "holder": _name_in(found.subject) or _alternative(found),
            "issuer": _name_in(found.issuer) or "–",
            "since": found.not_valid_before_utc.isoformat(),
            "until": found.not_valid_after_utc.isoformat(),
        }
    except ValueError:
        return {}


def _host(url: str) -> str:
    try:
        return URL(url).host or ""
    except ValueError:
        return url


def _name_in(name: Name) -> str:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    found = name.get_attributes_for_oid(NameOID.COMMON_NAME) or name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(found[0].value)[:NAME_MAX] if found else ""


def _alternative(certificate: Certificate) -> str:
    """Return the first of the host names, for a certificate whose subject is empty."""
    from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName  # noqa: PLC0415

    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return "–"
    return next(iter(names.get_values_for_type(DNSName)), "–")[:NAME_MAX]
