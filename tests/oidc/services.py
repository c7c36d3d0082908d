"""Services registered at the provider, as ``cardd.oidc.Provider``: each closed at the end of its test."""

from __future__ import annotations

import ssl

from cardd.oidc.client_auth import ClientAuthentication, SecretBasic
from cardd.oidc.provider import Provider
from cardd.oidc.settings import ProviderSettings
from cardd.oidc.token import Token
from cardd.system.clock import SystemClock
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import SECRET


def trusting(authority: Authority) -> ssl.SSLContext:
    """TLS that trusts this authority and no other."""
    return ssl.create_default_context(cadata=authority.pem.decode())


def service(
    issuer: str, tls: ssl.SSLContext, name: str = "basic", authentication: ClientAuthentication | None = None
) -> Provider:
    """The service of that name, with the secret that the rig's services have where nothing else is given."""
    return Provider(
        ProviderSettings(issuer=issuer, client_id=name),
        authentication or SecretBasic(name, Token(SECRET)),
        SystemClock(),
        tls,
    )
