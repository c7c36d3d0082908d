"""Login by the mobile: OpenID Connect Client-Initiated Backchannel Authentication, poll mode (CIBA Core 1.0).

The workstation shows two digits, the mobile shows the same two, and we ask the token endpoint until the person has
answered: never sooner than the provider's interval after its last answer, later when it says ``slow_down`` or does
not answer, and not after the request's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import datetime, timedelta

from cardd.backoff import BackOff
from cardd.errors import CarddError, PscExpired, PscGarbled, PscLoginHintUnknown, PscRedeemed, PscUnavailable
from cardd.oidc.http import CIBA_GRANT, Form, Refusal
from cardd.oidc.provider import Login, Provider
from cardd.oidc.signed import Binding
from cardd.oidc.tokens import JsonObject, Token, TokenSet, number, read_tokens, required

DEFAULT_INTERVAL = 5.0  # CIBA Core 7.3, where the provider does not tell
SLOW_DOWN = 5.0  # CIBA Core 11
BACK_OFF_MAX = 30.0
LAST_CHANCE = 1.0  # seconds before the request's end, for one more poll of a provider that was away
LIFETIME_MAX = 3600.0
HINT_MAX = 128


class PollPause:
    """How long to wait before the next poll, in seconds; never less than the provider's interval."""

    def __init__(self, interval: float) -> None:
        self._set(interval)

    def wait(self, left: float) -> float:
        """Return the interval; doubled for each fault after the first in a row, but not past the end (``left``)."""
        return max(self._interval, min(self._pause, left - LAST_CHANCE))

    def answered(self) -> None:
        """Forget the faults: the provider answered."""
        self._set(self._interval)

    def slow_down(self) -> None:
        """Wait five seconds more, for this and all later polls."""
        self._set(self._interval + SLOW_DOWN)

    def failed(self, retry_after: float = 0.0) -> None:
        """Wait longer: the provider did not answer, or not properly; so many seconds at least where it says so."""
        self._pause = max(self._back_off.pause(), retry_after)

    def _set(self, interval: float) -> None:
        self._interval = self._pause = interval
        self._back_off: BackOff = BackOff(interval, BACK_OFF_MAX)


class PendingLogin:
    """A login that waits for the mobile. Show ``binding_message`` and the time until ``expires_at``.

    To cancel, or to send the push again, cancel the task that runs ``finish`` and start another login.
    """

    def __init__(
        self,
        provider: Provider,
        login_hint: str,
        binding_message: str,
        auth_req_id: Token,
        *,
        lifetime: float,
        interval: float,
    ) -> None:
        self.login_hint = login_hint
        self.binding_message = binding_message
        self.interval = interval
        self.expires_at: datetime = provider.clock.now() + timedelta(seconds=lifetime)
        self._provider = provider
        self._auth_req_id = auth_req_id
        self._deadline = asyncio.get_running_loop().time() + lifetime
        self._taken = False

    async def finish(self) -> Login:
        """Wait for the person, once. Asks no more once its task is cancelled.

        Raises PscDenied, PscExpired, PscRedeemed, PscUnavailable when the provider was away at the end, and what
        ``Provider.complete`` raises; PscOtherPerson when it is not the person of the login hint.
        """
        if self._taken:
            raise PscRedeemed
        self._taken = True
        tokens = await self._poll()
        binding = Binding(auth_req_id=self._auth_req_id.reveal())
        return await self._provider.complete(tokens, binding, self.login_hint)

    async def _poll(self) -> TokenSet:
        pause = PollPause(self.interval)
        fault: CarddError | None = None
        form: Form = {"grant_type": CIBA_GRANT, "auth_req_id": self._auth_req_id}
        while await self._next(pause):
            try:
                answer = await self._asked(form)
            except (PscUnavailable, PscGarbled) as met:  # half an answer is as good as none
                fault = met
                pause.failed((met.retry_after or 0.0) if isinstance(met, PscUnavailable) else 0.0)
                continue
            if not isinstance(answer, Refusal):
                return read_tokens(answer, self._provider.clock)
            fault = None
            _heed(answer, pause)
        raise fault or PscExpired

    async def _asked(self, form: Form) -> JsonObject | Refusal:
        """Poll once. Given up while it is under way, the login that it may bring is ended at the provider."""
        token_endpoint = await self._provider.endpoint("token")
        asked = asyncio.ensure_future(self._provider.ask(token_endpoint, form))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            with contextlib.suppress(CarddError):
                answer = await asked
                if not isinstance(answer, Refusal):
                    await self._provider.log_out(read_tokens(answer, self._provider.clock))
            raise

    async def _next(self, pause: PollPause) -> bool:
        """Wait for the next poll, at most until the request's end; whether there is time left."""
        left = self._deadline - asyncio.get_running_loop().time()
        wait = pause.wait(left)
        await asyncio.sleep(max(0.0, min(wait, left)))
        return wait < left


def two_digits() -> str:
    """Return what the person compares on workstation and mobile: 00 to 99, each as likely, none to be foreseen."""
    return f"{secrets.randbelow(100):02d}"


async def start(provider: Provider, login_hint: str, *, channel: str | None = None) -> PendingLogin:
    """Have the provider wake the person's mobile. ``login_hint`` is the national id (``8…`` for an RPPS).

    ``channel`` is PSC's own parameter, CARD or MOBILE: where the person answers. The request is sent once: a second one
    would be a second push.

    Raises PscLoginHintUnknown, PscNoCiba, PscClientRefused, PscRequestRefused, PscUnavailable, PscGarbled, and what
    discovery raises.
    """
    if not login_hint.isprintable() or not 0 < len(login_hint) <= HINT_MAX:
        raise PscLoginHintUnknown
    binding_message = two_digits()
    form = {
        **provider.settings.asked,
        "login_hint": login_hint,
        "binding_message": binding_message,
        **({"channel": channel} if channel else {}),
    }
    answer = await provider.ask(await provider.endpoint("ciba"), form)
    if isinstance(answer, Refusal):
        raise answer.as_start_error()
    return _pending(provider, login_hint, binding_message, answer)


def _pending(provider: Provider, login_hint: str, binding_message: str, answer: JsonObject) -> PendingLogin:
    lifetime = number(answer, "expires_in")
    interval = number(answer, "interval")
    if lifetime is None or lifetime <= 0:
        raise PscGarbled(what="expires_in")
    return PendingLogin(
        provider,
        login_hint,
        binding_message,
        Token(required(answer, "auth_req_id")),
        lifetime=min(lifetime, LIFETIME_MAX),
        interval=max(interval, provider.settings.interval_min) if interval and interval > 0 else DEFAULT_INTERVAL,
    )


def _heed(answer: Refusal, pause: PollPause) -> None:
    """Go on as the provider says. Raises the error of a final refusal."""
    match answer.error:
        case "authorization_pending":
            pause.answered()
        case "slow_down":
            pause.slow_down()
        case _:
            raise answer.as_error()
