"""Services registered at a provider, as ``cardd.oidc.Provider``: each closed at the end of its block."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cardd.oidc import ciba
from cardd.oidc.client_auth import ClientAuthentication, ClientKey, SecretBasic
from cardd.oidc.code_flow import BrowserLogin, prepare
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.loopback import PATH, LoopbackSite, OnLogout, PeerOf, SiteLimits
from cardd.oidc.provider import Login, Provider
from cardd.oidc.tokens import Token
from cardd.ports import Clock
from cardd.system.host import SystemClock
from cardd.system.peer import peer_of as peer_in_the_system
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import SECRET, PscRig

IMPATIENT = 0.01  # seconds between two questions: a simulated provider may be asked more often than a real one


def trusting(authority: Authority) -> ssl.SSLContext:
    """TLS that trusts this authority and no other."""
    return ssl.create_default_context(cadata=authority.pem.decode())


@asynccontextmanager
async def service(
    psc: PscRig,
    name: str = "basic",
    authentication: ClientAuthentication | None = None,
    *,
    certificate: ClientKey | None = None,
    settings: ProviderSettings | None = None,
) -> AsyncIterator[Provider]:
    """A service at oidc-provider, with the secret that the rig's services have where nothing else is given."""
    tls = trusting(psc.authority)
    if certificate is not None:
        certificate.show_in(tls)
    provider = Provider(
        settings or ProviderSettings(issuer=psc.issuer, client_id=name, interval_min=IMPATIENT),
        authentication or SecretBasic(name, Token(SECRET)),
        SystemClock(),
        tls,
    )
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def fake_service(
    fake: FakeProvider, *, issuer: str | None = None, clock: Clock | None = None, extra_hosts: tuple[str, ...] = ()
) -> AsyncIterator[Provider]:
    """The service at the provider that lies."""
    settings = ProviderSettings(
        issuer=issuer or fake.issuer,
        client_id=CLIENT,
        allow_loopback_http=True,
        extra_hosts=extra_hosts,
        interval_min=IMPATIENT,
    )
    provider = Provider(settings, SecretBasic(CLIENT, Token("simulation")), clock or SystemClock())
    try:
        yield provider
    finally:
        await provider.close()


async def log_in(psc: PscRig, provider: Provider, who: str = ALICE) -> Login:
    """A login by mobile that the person agrees to."""
    pending = await ciba.start(provider, who)
    await psc.approve(who)
    return await pending.finish()


@asynccontextmanager
async def browser_login(
    provider: Provider, *, login_hint: str | None = None, path: str = PATH
) -> AsyncIterator[BrowserLogin]:
    """A login that waits for the browser, with a site of its own as long as the block lasts."""
    async with listening(path=path) as site:
        yield await prepare(provider, site, os.getuid(), login_hint=login_hint)


@asynccontextmanager
async def listening(
    *,
    path: str = PATH,
    peer_of: PeerOf = peer_in_the_system,
    limits: SiteLimits | None = None,
    on_logout: OnLogout | None = None,
) -> AsyncIterator[LoopbackSite]:
    """The site that the browser comes back to."""
    site = LoopbackSite(peer_of, path=path, limits=limits, on_logout=on_logout)
    await site.start()
    try:
        yield site
    finally:
        await site.close()
