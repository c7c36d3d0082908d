"""Pro Santé Connect for a service that has its own credentials on this workstation: OpenID Connect, CIBA or browser."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from cardd.config import Psc
from cardd.core.session import Pending
from cardd.errors import AddressInUse, CarddError, MethodUnavailable, PscApiUnknown, PscTokenError
from cardd.identity.ecps.provider import FINAL, METHOD, Flow, HandedToken, Heard, Keep, Reach, Wanted
from cardd.model import Identity, Situation
from cardd.oidc import ciba, code_flow, renewal
from cardd.oidc.http import seconds_ahead
from cardd.oidc.logout import LogoutNotice, LogoutNotices
from cardd.oidc.loopback import LoopbackSite, OnLogout, PeerOf
from cardd.oidc.provider import Login, Provider
from cardd.oidc.tokens import Token, TokenSet
from cardd.secret import Secret
from cardd.values import replace


class DirectProvider:
    """``PscProvider`` over one OpenID provider. ``heard`` is given what it says of logouts.

    ``peer_of`` tells whose browser comes back; ``browser_timeout`` is how long it may take, in seconds.

    The site for the browser listens from the first login by the browser on; where its port is registered, and the
    provider may tell of logouts there, from the first login of any kind.
    """

    def __init__(self, provider: Provider, settings: Psc, heard: Heard, peer_of: PeerOf) -> None:
        self._provider = provider
        self._settings = settings
        self._heard = heard
        self._peer_of = peer_of
        self.browser_timeout = code_flow.TIMEOUT
        self._site: LoopbackSite | None = None
        self._opening = asyncio.Lock()

    async def begin(self, wanted: Wanted, uid: int) -> MobileAttempt | BrowserAttempt:
        """Begin. Raises what ``ciba.start`` and discovery raise, AddressInUse for a port that is taken."""
        if wanted.flow is Flow.BROWSER:
            site = await self._listen()
            begun = await code_flow.prepare(self._provider, site, uid, login_hint=wanted.login_hint)
            until = self._provider.clock.now() + timedelta(seconds=self.browser_timeout)
            return BrowserAttempt(self, begun, wanted.login_hint, until)
        if wanted.login_hint is None:
            raise MethodUnavailable(method=METHOD, why="no_hint")
        await self._listen_for_logouts()
        channel = wanted.channel.name if wanted.channel else None
        return MobileAttempt(self, await ciba.start(self._provider, wanted.login_hint, channel=channel))

    async def resume(self, secret: Secret, national_id: str, keep: Keep) -> DirectLogin:
        """Redeem the refresh token and check what came; a login that is somebody else's is ended at the provider."""
        await self._listen_for_logouts()
        fresh = await renewal.redeem(self._provider, Token.from_secret(secret))
        if newest := fresh.refresh and fresh.refresh.to_secret():
            await keep(newest)
        try:
            return self.login_of(await self._provider.resume(fresh, national_id))
        except FINAL:
            with contextlib.suppress(CarddError):
                await self._provider.log_out(fresh)
            raise

    async def reach(self, *, proves: bool = True) -> Reach:
        """Ask for discovery, and for the keys that tokens are signed with; then prove who we are."""
        mobile = (await self._provider.discovery.metadata()).endpoint("ciba") is not None
        answer = await self._provider.http.get(await self._provider.endpoint("jwks"))
        if proves:
            await self._provider.prove()
        return Reach(mobile, seconds_ahead(answer, self._provider.clock))

    async def close(self) -> None:
        """Listen no more, and give the connections back."""
        if self._site:
            await self._site.close()
        await self._provider.close()

    def login_of(self, login: Login) -> DirectLogin:
        """Return a login that succeeded."""
        return DirectLogin(self._provider, self._settings, login)

    async def _listen(self) -> LoopbackSite:
        """Return the site, which listens. Raises AddressInUse."""
        async with self._opening:
            if self._site is None:
                port, path = self._settings.redirect_port, self._settings.redirect_path
                made = LoopbackSite(self._peer_of, port=port, path=path, on_logout=self._on_logout())
                await made.start()
                self._site = made
            return self._site

    async def _listen_for_logouts(self) -> None:
        """Listen if one can: a login by mobile does not need the port."""
        if self._settings.redirect_port:
            with contextlib.suppress(AddressInUse):
                await self._listen()

    def _on_logout(self) -> OnLogout:
        notices = LogoutNotices(self._provider)

        def front_channel(told: Mapping[str, str]) -> None:
            if notice := notices.front_channel(told):
                self._heard(notice)

        async def back_channel(raw: str) -> None:
            self._heard(await notices.back_channel(raw))

        return OnLogout(front_channel, back_channel)


class MobileAttempt:
    """``PscAttempt`` by mobile."""

    unsent = False  # ``begin`` has sent it

    def __init__(self, provider: DirectProvider, begun: ciba.PendingLogin) -> None:
        self._provider = provider
        self._begun = begun
        self.pending = Pending(begun.expires_at, binding_message=begun.binding_message)

    async def finish(self) -> DirectLogin:
        """Wait for the mobile."""
        return self._provider.login_of(await self._begun.finish())


class BrowserAttempt:
    """``PscAttempt`` by browser."""

    unsent = False

    def __init__(
        self, provider: DirectProvider, begun: code_flow.BrowserLogin, national_id: str | None, until: datetime
    ) -> None:
        self._provider = provider
        self._begun = begun
        self._national_id = national_id
        self.pending = Pending(until, authorization_url=begun.url, start_url=begun.start)

    async def finish(self) -> DirectLogin:
        """Wait for the browser to come back."""
        try:
            login = await self._begun.finish(national_id=self._national_id, timeout=self._provider.browser_timeout)
        finally:
            self._begun.forget()
        return self._provider.login_of(login)


class DirectLogin:
    """``PscLogin`` with PSC's tokens, which are for PSC and for approved clients and nobody else."""

    asked_nobody = False

    def __init__(self, provider: Provider, settings: Psc, login: Login) -> None:
        self.login = login
        self.over = asyncio.Event()
        self._provider = provider
        self._settings = settings
        self._refresh = login.tokens.refresh  # the newest: the others may be worth nothing any more
        self._unchecked: TokenSet | None = None

    @property
    def identity(self) -> Identity:
        """Return whom userinfo names."""
        return replace(self.login.person.identity, is_test=self._settings.is_test_environment)

    @property
    def situations(self) -> tuple[Situation, ...]:
        """Return the situations in userinfo."""
        return self.login.person.situations

    @property
    def means(self) -> str | None:
        """PSC's ``authMode``."""
        return self.login.person.auth_mode

    def seconds_left(self) -> float:
        """Return for how long the access token is good."""
        return self.login.tokens.deadline - self._provider.clock.monotonic()

    async def renew(self) -> None:
        """Redeem the refresh token and check what came. What cannot be checked yet is not redeemed again for that.

        A bad ID token never becomes a good one: the refresh token that came with it is redeemed next time, and PSC says
        whether its session lasts.
        """
        if self._unchecked is None:
            self._unchecked = await renewal.redeem(self._provider, self._refresh)
            self._refresh = self._unchecked.refresh
        try:
            tokens = await renewal.checked(self._provider, self.login, self._unchecked)
        except PscTokenError:
            self._unchecked = None
            raise
        before, self.login, self._unchecked = self.login.tokens, replace(self.login, tokens=tokens), None
        before.wipe(but=tokens)

    def resumption_secret(self) -> Secret | None:
        """Return the refresh token; None without one, or with one too long to be kept."""
        return self._refresh.to_secret() if self._refresh else None

    async def token(self, api: str | None) -> HandedToken:
        """Return PSC's access token, or one that PSC or the API's server exchanged it for."""
        if api is None:
            tokens = self.login.tokens
        elif api in self._settings.exchanges:
            wanted = self._settings.exchanges[api]
            tokens = await renewal.exchange(
                self._provider,
                self.login.tokens.access,
                endpoint=wanted.endpoint,
                audience=wanted.audience,
                scope=wanted.scope,
                thumbprint=self._provider.settings.thumbprint,
            )
        else:
            raise PscApiUnknown(api=api)
        return HandedToken(tokens.access.reveal(), "Bearer", tokens.expires_at)

    def heed(self, notice: LogoutNotice) -> None:
        """End if the notice names this login."""
        if notice.concerns(self.login.id_token):
            self.over.set()

    async def log_out(self) -> None:
        """End the session of a login by mobile there, and forget its tokens."""
        try:
            await self._provider.log_out(self.login.tokens)
        finally:
            for tokens in filter(None, (self.login.tokens, self._unchecked)):
                tokens.wipe()
