"""Keeping a login alive: new tokens before the access token ends, and after a restart (RFC 6749, 6)."""

from __future__ import annotations

from dataclasses import replace

from cardd.errors import PscOtherPerson, PscRedeemed, PscSessionOver
from cardd.oidc.id_token import Binding
from cardd.oidc.provider import Login, Provider
from cardd.oidc.token import Token
from cardd.oidc.token_set import TokenSet


async def redeem(provider: Provider, refresh_token: Token | None) -> TokenSet:
    """New tokens, not looked at yet. Sent once: the provider may have given the refresh token out anew.

    Keep theirs at once, whatever comes of ``checked``: the old one may be worth nothing any more. Raises PscSessionOver
    when the provider ended the session, or there is nothing to refresh with, and what ``Provider.redeem`` raises.
    """
    if refresh_token is None:
        raise PscSessionOver
    answer = await provider.redeem({"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()})
    if isinstance(answer, TokenSet):
        return answer if answer.refresh else replace(answer, refresh=refresh_token)
    error = answer.as_error()
    raise PscSessionOver() if isinstance(error, PscRedeemed) else error


async def checked(provider: Provider, login: Login, fresh: TokenSet) -> TokenSet:
    """The tokens of ``redeem`` for the same person, and what only the old ones have.

    Raises PscOtherPerson, PscUnavailable, PscGarbled, and the PscToken… errors.
    """
    if fresh.id_token is not None:  # OpenID Connect Core 12.2: it may be left out
        told = await provider.check(fresh, Binding())
        if told.subject != login.id_token.subject:
            raise PscOtherPerson
    return fresh.after(login.tokens)
