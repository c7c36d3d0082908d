"""Login by the browser: authorization code with PKCE (RFC 7636, S256 always), back on loopback (RFC 8252).

    browser = await code_flow.prepare(provider, site, uid)
    webbrowser.open(browser.start)                # the caller's: cardd does not open browsers itself
    login = await browser.finish()

``uid`` is the OS user whose browser is to come back. ``state`` ties the answer to this login, ``nonce`` the ID token,
the verifier the code; ``iss`` (RFC 9207) tells that it comes from the provider that was asked. Where it is absent,
those three still hold, and there is no other provider that the answer could be mixed up with.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping

from yarl import URL

from cardd.errors import PscBrowserTimeout, PscGarbled, PscRedeemed, PscTokenIssuer
from cardd.oidc.discovery import Metadata
from cardd.oidc.http import Refusal
from cardd.oidc.loopback import LoopbackSite
from cardd.oidc.provider import Login, Provider
from cardd.oidc.signed import Binding
from cardd.values import Value, field

TIMEOUT = 300.0
REDIRECT = "redirect"


class _Secrets(Value):
    """Three values that nobody can guess, new for each login."""

    HIDDEN = frozenset({"state", "nonce", "verifier"})

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class BrowserLogin:
    """A login that waits for the browser; ``url`` is the page to open, good once.

    ``start`` leads this OS user there, and nobody else: it is what may stand on a command line.
    """

    def __init__(
        self,
        provider: Provider,
        metadata: Metadata,
        site: LoopbackSite,
        once: _Secrets,
        *,
        uid: int,
        login_hint: str | None,
    ) -> None:
        self._provider = provider
        self._metadata = metadata
        self._site = site
        self._once = once
        self._taken = False
        self.url = self._address(login_hint)
        self._expected = site.expect(once.state, uid, self.url)
        self.start = self._expected.start

    def _address(self, login_hint: str | None) -> str:
        settings = self._provider.settings
        query = {
            **settings.asked,
            **({"kc_idp_hint": settings.idp_hint} if settings.idp_hint else {}),
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": self._site.uri,
            "state": self._once.state,
            "nonce": self._once.nonce,
            "code_challenge": self._once.challenge,
            "code_challenge_method": "S256",
            **({"login_hint": login_hint} if login_hint else {}),
        }
        return str(URL(self._metadata.endpoints["authorization"]).update_query(query))

    def forget(self) -> None:
        """Refuse what the browser brings: nobody waits for it any more."""
        self._site.forget(self._expected)

    async def finish(self, *, national_id: str | None = None, timeout: float = TIMEOUT) -> Login:
        """Wait for the browser, once; ``national_id`` is who it must be, None for anyone.

        Raises PscBrowserTimeout, PscDenied, PscRequestRefused, PscTokenIssuer, PscRedeemed for a second use, and what
        ``Provider.complete`` raises.
        """
        if self._taken:
            raise PscRedeemed
        self._taken = True
        try:
            async with asyncio.timeout(timeout):
                told = await asyncio.shield(self._expected.answer)
        except TimeoutError:
            raise PscBrowserTimeout from None
        return await self._redeem(self._code(told), national_id)

    def _code(self, told: Mapping[str, str]) -> str:
        is_needed = self._metadata.iss_in_redirect and self._provider.settings.redirect_issuer == "announced"
        if told.get("iss", None if is_needed else self._metadata.issuer) != self._metadata.issuer:
            raise PscTokenIssuer(token=REDIRECT)
        if "error" in told:
            raise Refusal(told["error"]).as_error()
        if not told.get("code"):
            raise PscGarbled(what="code")
        return told["code"]

    async def _redeem(self, code: str, national_id: str | None) -> Login:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._site.uri,
            "code_verifier": self._once.verifier,
        }
        answer = await self._provider.redeem(form)
        if isinstance(answer, Refusal):
            raise answer.as_error()
        return await self._provider.complete(answer, Binding(nonce=self._once.nonce), national_id)


async def prepare(provider: Provider, site: LoopbackSite, uid: int, *, login_hint: str | None = None) -> BrowserLogin:
    """Return a login by this OS user's browser, which comes back to this site; ``forget`` it in the end.

    Raises what discovery raises.
    """
    return BrowserLogin(provider, await provider.discovery.metadata(), site, _Secrets(), uid=uid, login_hint=login_hint)
