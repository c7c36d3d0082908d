"""How this service proves itself: the way to PSC that the configuration names, with its credentials in place.

Importing this module imports all of ``cardd.oidc`` (300 ms): the login does so when the first person wants it.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cardd.errors import MethodUnavailable, PscClientRefused, SecretStoreUnavailable
from cardd.identity.ecps.direct import METHOD, DirectWay
from cardd.identity.ecps.proxy import ProxyWay
from cardd.identity.ecps.settings import EcpsSettings
from cardd.identity.ecps.way import Way
from cardd.oidc.client_auth import ClientAuthentication, PrivateKeyJwt, SecretBasic, SecretPost, TlsClientAuth
from cardd.oidc.http import Http
from cardd.oidc.keys import ClientKey, FileSigner
from cardd.oidc.provider import Provider
from cardd.oidc.settings import ProviderSettings
from cardd.oidc.token import Token
from cardd.ports import Clock, SecretStore

CLIENT_SECRET, CERTIFICATE = "psc-client-secret", "psc-certificate"


async def way_of(settings: EcpsSettings, secrets: SecretStore, clock: Clock) -> Way:
    """Raises PscClientRefused without usable credentials, MethodUnavailable when a configured file cannot be read."""
    tls = _context(settings.authorities)
    key = await _key(settings.certificate, secrets) if settings.certificate else None
    if key is not None:
        key.show_in(tls)
    if settings.proxy is not None:
        return ProxyWay(Http(tls), settings, settings.proxy, clock)
    known = ProviderSettings(
        settings.issuer,
        settings.client_id,
        extra_hosts=settings.extra_hosts,
        thumbprint=key.thumbprint if key else None,
    )
    return DirectWay(Provider(known, await _authentication(settings, secrets, key), clock, tls), settings)


async def _authentication(settings: EcpsSettings, secrets: SecretStore, key: ClientKey | None) -> ClientAuthentication:
    name, mtls = settings.client_id, key is not None
    match settings.authentication:
        case "tls":
            return TlsClientAuth(name)
        case "private_key_jwt":
            if key is None:
                raise PscClientRefused
            return PrivateKeyJwt(name, FileSigner(key, _named(settings, key)), mtls=mtls)
        case "secret_basic":
            return SecretBasic(name, await _secret(secrets, CLIENT_SECRET), mtls=mtls)
        case "secret_post":
            return SecretPost(name, await _secret(secrets, CLIENT_SECRET), mtls=mtls)


def _named(settings: EcpsSettings, key: ClientKey) -> dict[str, str]:
    """What the provider finds the key by: the identifier that it was registered under, or the certificate."""
    return {"kid": settings.key_id} if settings.key_id else {"x5t#S256": key.thumbprint}


async def _secret(secrets: SecretStore, name: str) -> Token:
    try:
        found = await secrets.get(name)
    except SecretStoreUnavailable as error:
        raise PscClientRefused from error
    if found is None:
        raise PscClientRefused
    with found:
        return Token.from_secret(found)


async def _key(path: Path, secrets: SecretStore) -> ClientKey:
    try:
        raw = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise MethodUnavailable(method=METHOD) from error
    return ClientKey.from_pkcs12(raw, (await _secret(secrets, CERTIFICATE)).reveal().encode())


def _context(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except (OSError, ssl.SSLError) as error:
        raise MethodUnavailable(method=METHOD) from error
