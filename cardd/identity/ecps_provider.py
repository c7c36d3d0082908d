"""Pro Santé Connect as the configuration has it: where it is, and how this service proves itself there.

Importing this module imports all of ``cardd.oidc`` (300 ms): the login does so when the first person wants it.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cardd.errors import MethodUnavailable, PscClientRefused, SecretStoreUnavailable
from cardd.identity.ecps_settings import EcpsSettings
from cardd.oidc.client_auth import ClientAuthentication, SecretBasic, SecretPost, TlsClientAuth
from cardd.oidc.keys import ClientKey
from cardd.oidc.provider import Provider
from cardd.oidc.settings import ProviderSettings
from cardd.oidc.token import Token
from cardd.ports import Clock, SecretStore

CLIENT_SECRET, CERTIFICATE = "psc-client-secret", "psc-certificate"


async def provider_of(settings: EcpsSettings, secrets: SecretStore, clock: Clock) -> Provider:
    """Raises PscClientRefused without usable credentials, MethodUnavailable when a configured file cannot be read."""
    tls = _context(settings.authorities)
    if settings.certificate:
        (await _key(settings.certificate, secrets)).show_in(tls)
    known = ProviderSettings(settings.issuer, settings.client_id, extra_hosts=settings.extra_hosts)
    return Provider(known, await _authentication(settings, secrets), clock, tls)


async def _authentication(settings: EcpsSettings, secrets: SecretStore) -> ClientAuthentication:
    if settings.authentication == "tls":
        return TlsClientAuth(settings.client_id)
    found = await _secret(secrets, CLIENT_SECRET)
    kind = SecretBasic if settings.authentication == "secret_basic" else SecretPost
    return kind(settings.client_id, found, mtls=settings.certificate is not None)


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
        raise MethodUnavailable(method="ecps") from error
    return ClientKey.from_pkcs12(raw, (await _secret(secrets, CERTIFICATE)).reveal().encode())


def _context(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except (OSError, ssl.SSLError) as error:
        raise MethodUnavailable(method="ecps") from error
