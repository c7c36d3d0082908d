"""What the daemon does to keep a login alive, without what it keeps between two steps."""

from __future__ import annotations

from cardd.oidc import renewal
from cardd.oidc.provider import Login, Provider
from cardd.oidc.tokens import Token, TokenSet


async def refreshed(provider: Provider, login: Login) -> TokenSet:
    """New tokens of an open login."""
    return await renewal.checked(provider, login, await renewal.redeem(provider, login.tokens.refresh))


async def resumed(provider: Provider, refresh_token: Token, national_id: str) -> Login:
    """The login behind a refresh token."""
    return await provider.resume(await renewal.redeem(provider, refresh_token), national_id)


def at_rest(token: Token) -> Token:
    """The token, after it was kept."""
    kept = token.to_secret()
    assert kept is not None
    return Token.from_secret(kept)
