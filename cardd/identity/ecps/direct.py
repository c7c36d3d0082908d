"""The way to PSC for a service that has its own credentials on this workstation: OpenID Connect, CIBA or browser."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from weakref import WeakSet

from cardd.config import Psc
from cardd.core.sessions import Pending
from cardd.errors import AddressInUse, CarddError, MethodUnavailable, PscApiUnknown
from cardd.identity.ecps.situations import situations_of
from cardd.identity.ecps.way import FINAL, METHOD, PAUSE_FIRST, PAUSE_MAX, Flow, HandedToken, Keep, Reach, Wanted
from cardd.model import Identity, Situation
from cardd.oidc import ciba, code_flow, exchange, logout, renewal
from cardd.oidc.http import seconds_ahead
from cardd.oidc.id_token import Binding
from cardd.oidc.logout import LogoutNotice, LogoutNotices
from cardd.oidc.loopback import LoopbackSite
from cardd.oidc.provider import Login, Provider
from cardd.oidc.token import Token
from cardd.oidc.token_set import TokenSet
from cardd.secret import Secret

MARGIN = 20.0  # seconds before the access token ends
GOOD_FOR = 10.0  # seconds that a token is still good for when it is handed out


class DirectWay:
    """``Way`` over one ``Provider``.

    The site for the browser listens from the first login by the browser on; where its port is registered, and the
    provider may tell of logouts there, from the first login of any kind.
    """

    def __init__(self, provider: Provider, settings: Psc) -> None:
        self._provider = provider
        self._settings = settings
        self._site = LoopbackSite(port=settings.redirect_port, path=settings.redirect_path)
        self._site.on_front_channel, self._site.on_back_channel = self._front_channel, self._back_channel
        self._listening = False
        self._opening = asyncio.Lock()
        self._notices = LogoutNotices(provider)
        self._open: WeakSet[DirectLogin] = WeakSet()

    async def begin(self, wanted: Wanted) -> MobileWaiting | BrowserWaiting:
        """As ``Way``. Raises what ``ciba.start`` and discovery raise, AddressInUse for a port that is taken."""
        if wanted.flow is Flow.BROWSER:
            await self._listen()
            begun = await code_flow.prepare(self._provider, self._site, login_hint=wanted.login_hint)
            return BrowserWaiting(self, self._provider, begun, wanted.login_hint)
        if wanted.login_hint is None:
            raise MethodUnavailable(method=METHOD, why="no_hint")
        await self._listen_for_logouts()
        channel = ciba.Channel[wanted.channel.name] if wanted.channel else None
        return MobileWaiting(self, await ciba.start(self._provider, wanted.login_hint, channel=channel))

    async def resume(self, kept: Secret, national_id: str, keep: Keep) -> DirectLogin:
        """As ``Way``."""
        await self._listen_for_logouts()
        fresh = await renewal.redeem(self._provider, Token.from_secret(kept))
        await _keep(fresh, keep)
        try:
            return self.opened(await self._provider.complete(fresh, Binding(), national_id))
        except FINAL:
            with contextlib.suppress(CarddError):
                await logout.log_out(self._provider, fresh)
            raise

    async def reach(self) -> Reach:
        """As ``Way``: discovery, and the keys that tokens are signed with."""
        mobile = (await self._provider.discovery.metadata()).endpoint("ciba") is not None
        answer = await self._provider.http.get(await self._provider.endpoint("jwks"))
        return Reach(mobile, seconds_ahead(answer, self._provider.clock))

    async def close(self) -> None:
        """As ``Way``."""
        if self._listening:
            await self._site.close()
        await self._provider.close()

    def opened(self, login: Login) -> DirectLogin:
        """A login that succeeded; it hears of logouts as long as somebody has it."""
        made = DirectLogin(self._provider, self._settings, login)
        self._open.add(made)
        return made

    async def _listen(self) -> None:
        async with self._opening:
            if not self._listening:
                await self._site.start()
                self._listening = True

    async def _listen_for_logouts(self) -> None:
        """As far as one can: a login by mobile does not need the port."""
        if self._settings.redirect_port:
            with contextlib.suppress(AddressInUse):
                await self._listen()

    def _front_channel(self, told: Mapping[str, str]) -> None:
        """A page of the provider's says that a session ended: it names ours, or nothing happens."""
        for login in list(self._open):
            if self._notices.front_channel(told, login.login.id_token):
                login.is_over()

    async def _back_channel(self, raw: str) -> None:
        notice: LogoutNotice = await self._notices.back_channel(raw)
        for login in list(self._open):
            if notice.concerns(login.login.id_token):
                login.is_over()


class MobileWaiting:
    """``Waiting`` for the mobile."""

    def __init__(self, way: DirectWay, begun: ciba.PendingLogin) -> None:
        self._way = way
        self._begun = begun
        self.pending = Pending(begun.expires_at, binding_message=begun.binding_message)

    async def finish(self) -> DirectLogin:
        """As ``Waiting``."""
        return self._way.opened(await self._begun.finish())


class BrowserWaiting:
    """``Waiting`` for the browser."""

    def __init__(
        self, way: DirectWay, provider: Provider, begun: code_flow.BrowserLogin, national_id: str | None
    ) -> None:
        self._way = way
        self._begun = begun
        self._national_id = national_id
        until = provider.clock.now() + timedelta(seconds=code_flow.TIMEOUT)
        self.pending = Pending(until, authorization_url=begun.url)

    async def finish(self) -> DirectLogin:
        """As ``Waiting``."""
        try:
            return self._way.opened(await self._begun.finish(national_id=self._national_id, timeout=code_flow.TIMEOUT))
        finally:
            self._begun.forget()


class DirectLogin:
    """``OpenLogin`` with PSC's tokens, which are for PSC and for approved clients and nobody else."""

    def __init__(self, provider: Provider, settings: Psc, login: Login) -> None:
        self.login = login
        self._provider = provider
        self._settings = settings
        self._over = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._redeemed: TokenSet | None = None

    @property
    def identity(self) -> Identity:
        """As ``OpenLogin``."""
        return replace(self.login.person.identity, is_test=self._settings.is_sandbox)

    @property
    def situations(self) -> tuple[Situation, ...]:
        """As ``OpenLogin``."""
        return situations_of(self.login.person)

    @property
    def means(self) -> str | None:
        """PSC's ``authMode``."""
        return self.login.person.auth_mode

    def is_over(self) -> None:
        """The provider says that it ended."""
        self._over.set()

    async def stay(self, keep: Keep) -> None:
        """As ``OpenLogin``: refresh before the access token ends, and go on trying until the provider says no."""
        pause = PAUSE_FIRST
        while not self._over.is_set():
            await _keep(self._redeemed or self.login.tokens, keep)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(pause, self._left() - MARGIN))
                return
            try:
                await self._refresh(MARGIN)
                pause = PAUSE_FIRST
            except FINAL:
                return
            except CarddError:
                pause = min(2 * pause, PAUSE_MAX)

    async def token(self, api: str | None) -> HandedToken:
        """As ``OpenLogin``."""
        if api is not None and api not in self._settings.exchanges:
            raise PscApiUnknown(api=api)
        try:
            await self._refresh(GOOD_FOR)
        except FINAL:
            self.is_over()
            raise
        tokens = self.login.tokens
        if api is not None:
            wanted = self._settings.exchanges[api]
            tokens = await exchange.exchange(
                self._provider,
                tokens.access,
                endpoint=wanted.endpoint,
                audience=wanted.audience,
                scope=wanted.scope,
                thumbprint=self._provider.settings.thumbprint,
            )
        return HandedToken(tokens.access.reveal(), "Bearer", tokens.expires_at)

    async def log_out(self) -> None:
        """As ``OpenLogin``."""
        await logout.log_out(self._provider, self.login.tokens)

    async def _refresh(self, margin: float) -> None:
        """Have tokens that are good for longer than this."""
        async with self._refreshing:
            if self._left() > margin:
                return
            if self._redeemed is None:  # else they wait to be checked since the provider went away
                self._redeemed = await renewal.redeem(self._provider, self.login.tokens.refresh)
            tokens = await renewal.checked(self._provider, self.login, self._redeemed)
            self.login, self._redeemed = replace(self.login, tokens=tokens), None

    def _left(self) -> float:
        return (self.login.tokens.expires_at - self._provider.clock.now()).total_seconds()


async def _keep(tokens: TokenSet, keep: Keep) -> None:
    """Without a refresh token, or with one too long to be kept, the session ends with the daemon."""
    kept = tokens.refresh.to_secret() if tokens.refresh else None
    if kept is not None:
        await keep(kept)
