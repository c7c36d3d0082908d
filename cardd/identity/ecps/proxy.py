"""Pro Santé Connect through the editor's server, a "proxy LPS": it holds the credentials, we hold its session's cookie.

``POST /connect`` answers once the person has agreed on the mobile, ``DELETE /disconnect`` ends it (contract:
ansforge/psc-edc-proxy-esante, ``openapi/API-Proxy-eSante.json``). The proxy tells no more of the person than that it
was the one who was asked for; where the editor offers PSC's userinfo below ``/send/``, names and practice come from it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta

from cardd.config import Psc
from cardd.core.session import Pending
from cardd.errors import (
    CarddError,
    MethodUnavailable,
    PscApiUnknown,
    PscBehindProxy,
    PscBlocked,
    PscCertificate,
    PscConnectionRefused,
    PscExpired,
    PscFlowUnavailable,
    PscGarbled,
    PscLoginHintUnknown,
    PscNameUnknown,
    PscOtherPerson,
    PscRequestRefused,
    PscSessionOver,
)
from cardd.http import HttpAnswer
from cardd.identity.ecps.provider import METHOD, Flow, HandedToken, Keep, PscChannel, Reach, Wanted
from cardd.model import Identity, Situation
from cardd.oidc.ciba import two_digits
from cardd.oidc.http import Http, Refusal, seconds_ahead
from cardd.oidc.logout import LogoutNotice
from cardd.oidc.provider import Person, read_person
from cardd.oidc.tokens import Token, parse, text
from cardd.ports import Clock
from cardd.secret import Secret
from cardd.values import replace

COOKIE = "proxy_session_id"
COOKIE_MAX = 4096
UNSENT = (PscNameUnknown, PscConnectionRefused, PscBlocked, PscBehindProxy, PscCertificate)  # the request did not leave
ACTIVE = 304  # the person has a session there already, and no mobile was woken


class ProxyProvider:
    """``PscProvider`` over one proxy LPS."""

    def __init__(self, http: Http, settings: Psc, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._url = (settings.proxy or "").rstrip("/")
        self._clock = clock
        self._uses: Counter[int] = Counter()  # how many logins have each session there, by the cookie's hash

    async def begin(self, wanted: Wanted, uid: int) -> ProxyAttempt:  # noqa: ARG002 - the protocol's
        """Begin. Raises PscFlowUnavailable for the browser: the proxy knows the mobile only."""
        if wanted.flow is Flow.BROWSER:
            raise PscFlowUnavailable(flow=wanted.flow.value)
        if wanted.login_hint is None:
            raise MethodUnavailable(method=METHOD, why="no_hint")
        until = self._clock.now() + timedelta(seconds=self._settings.proxy_timeout)
        channel = wanted.channel or PscChannel.MOBILE
        return ProxyAttempt(self, wanted.login_hint, channel, Pending(until, binding_message=two_digits()))

    async def resume(self, secret: Secret, national_id: str, keep: Keep) -> ProxyLogin:  # noqa: ARG002 - the protocol's
        """Refuse: asking the proxy about a session that it forgot would wake the mobile."""
        raise PscSessionOver

    async def reach(self, *, proves: bool = True) -> Reach:  # noqa: ARG002 - its contract has nothing for that
        """Ask for its root: whatever the server answers there, it is the server."""
        return Reach(mobile=True, ahead=seconds_ahead(await self._http.get(self._url), self._clock))

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def ask(self, national_id: str, digits: str, channel: PscChannel) -> HttpAnswer:
        """Ask the proxy to wake the mobile, and wait for its answer."""
        body = {
            "nationalId": national_id,
            "bindingMessage": digits,
            "clientId": self._settings.client_id or "",
            "channel": channel.name,
        }
        try:
            async with asyncio.timeout(self._settings.proxy_timeout):
                return await self._http.send(
                    "POST", self.address("connect"), json=body, timeout=2 * self._settings.proxy_timeout
                )
        except TimeoutError:
            raise PscExpired from None

    async def login_of(self, answer: HttpAnswer, national_id: str) -> ProxyLogin:
        """Return the login that the answer gives."""
        if answer.status not in (200, ACTIVE):
            raise _refusal(answer)
        cookie = Token(_cookie(answer))
        self._uses[hash(cookie)] += 1
        try:
            person = await self._person(cookie, national_id)
        except BaseException:  # a login that nobody will have is ended there too
            with contextlib.suppress(CarddError):
                await asyncio.shield(self.disconnect(cookie))
            raise
        return ProxyLogin(self, cookie, person, asked_nobody=answer.status == ACTIVE)

    async def disconnect(self, cookie: Token) -> None:
        """End the proxy's session, unless another login here has the same one."""
        self._uses[hash(cookie)] -= 1
        if self._uses[hash(cookie)] > 0:
            return
        del self._uses[hash(cookie)]
        answer = await self._http.send("DELETE", self.address("disconnect"), headers=_shown(cookie))
        if answer.status not in (200, 204, 401):
            raise PscRequestRefused(error=f"HTTP {answer.status}")

    def address(self, path: str) -> str:
        """Return an address of the proxy's."""
        return f"{self._url}/{path}"

    async def _person(self, cookie: Token, national_id: str) -> Person:
        if self._settings.proxy_identity is None:
            return Person("", Identity(national_id, "", "", is_test=self._settings.is_test_environment))
        answer = await self._http.get(self.address(f"send/{self._settings.proxy_identity}"), _shown(cookie))
        if answer.status != 200:
            raise PscRequestRefused(error=f"HTTP {answer.status}")
        person = read_person(parse(answer.body, "userinfo"), "")
        if person.identity.national_id != national_id:
            raise PscOtherPerson
        return replace(person, identity=replace(person.identity, is_test=self._settings.is_test_environment))


class ProxyAttempt:
    """``PscAttempt`` that waits for the proxy's answer."""

    def __init__(self, provider: ProxyProvider, national_id: str, channel: PscChannel, pending: Pending) -> None:
        self.pending = pending
        self.unsent = False
        self._provider = provider
        self._national_id = national_id
        self._channel = channel

    async def finish(self) -> ProxyLogin:
        """Ask, and wait. A cancelled request is broken off, which the proxy sees."""
        self.unsent = False
        try:
            answer = await self._provider.ask(self._national_id, self.pending.binding_message or "", self._channel)
        except UNSENT:
            self.unsent = True
            raise
        return await self._provider.login_of(answer, self._national_id)


class ProxyLogin:
    """``PscLogin`` with the proxy's cookie."""

    def __init__(self, provider: ProxyProvider, cookie: Token, person: Person, *, asked_nobody: bool = False) -> None:
        self.asked_nobody = asked_nobody
        self._provider = provider
        self._cookie = cookie
        self._person = person
        self.over = asyncio.Event()

    @property
    def identity(self) -> Identity:
        """Who was asked for; without names where the proxy tells none."""
        return self._person.identity

    @property
    def situations(self) -> tuple[Situation, ...]:
        """Return the situations in userinfo; none where the proxy has no userinfo."""
        return self._person.situations

    @property
    def means(self) -> str | None:
        """PSC's ``authMode``."""
        return self._person.auth_mode

    def seconds_left(self) -> None:
        """Return None: the proxy renews by itself, and tells nobody when its session ends."""

    async def renew(self) -> None:
        """Do nothing: there is nothing to renew here."""

    def resumption_secret(self) -> None:
        """Return None: the session ends with the daemon (ADR 0012)."""

    def heed(self, notice: LogoutNotice) -> None:
        """Do nothing: PSC tells the proxy."""

    async def token(self, api: str | None) -> HandedToken:
        """Return the cookie: a program calls the proxy's ``/send/`` itself; the APIs are the proxy's own routes."""
        if api is not None:
            raise PscApiUnknown(api=api)
        return HandedToken(self._cookie.reveal(), COOKIE, None)

    async def log_out(self) -> None:
        """Disconnect, and forget the cookie."""
        try:
            await self._provider.disconnect(self._cookie)
        finally:
            self._cookie.wipe()


def _shown(cookie: Token) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={cookie.reveal()}"}


def _cookie(answer: HttpAnswer) -> str:
    """Return the session's cookie; the body names it too."""
    found = answer.cookies.get(COOKIE) or text(parse(answer.body, COOKIE), COOKIE, COOKIE_MAX)
    if not found or not found.isascii() or not found.isprintable() or any(character in found for character in ';, "\\'):
        raise PscGarbled(what=COOKIE)
    return found


def _refusal(answer: HttpAnswer) -> CarddError:
    """Return why nobody was connected.

    The contract has no status for a person who refused or did not answer: ANS's own proxy says 401 for everything that
    PSC said no with, and PSC's code somewhere in the message.
    """
    told = ""
    with contextlib.suppress(PscGarbled):
        told = text(parse(answer.body, "answer"), "message", 200) or ""
    match answer.status:
        case 404:
            return PscLoginHintUnknown()
        case 401 | 403:
            return Refusal(_word_of(told, ("access_denied", "expired_token")) or "invalid_client").as_error()
        case 400:
            return PscRequestRefused(error=told or "HTTP 400")
        case _:
            return PscGarbled(what=f"HTTP {answer.status}")


def _word_of(told: str, known: tuple[str, ...]) -> str | None:
    return next((word for word in told.split() if word in known), None)
