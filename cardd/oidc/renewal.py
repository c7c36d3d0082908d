"""Keeping a login alive: refresh before the access token ends, and resume after a restart (RFC 6749, 6)."""

from __future__ import annotations

from dataclasses import replace

from cardd.errors import PscOtherPerson, PscRedeemed, PscSessionOver
from cardd.oidc.id_token import Binding
from cardd.oidc.provider import Login, Provider
from cardd.oidc.token import Token
from cardd.oidc.token_set import TokenSet


async def refresh(provider: Provider, login: Login) -> TokenSet:
    """New tokens for the same person. Sent once: the provider may have given the refresh token out anew.

    Raises PscSessionOver when the provider ended the session, or there is nothing to refresh with, PscOtherPerson,
    PscUnavailable, PscGarbled, and the PscToken… errors.
    """
    if login.tokens.refresh is None:
        raise PscSessionOver
    fresh = await _redeem(provider, login.tokens.refresh)
    if fresh.id_token is not None:  # OpenID Connect Core 12.2: it may be left out
        told = await provider.check(fresh, Binding())
        if told.subject != login.id_token.subject:
            raise PscOtherPerson
    return fresh.after(login.tokens)


async def resume(provider: Provider, refresh_token: Token, national_id: str) -> Login:
    """The login behind a refresh token that was kept, if it still is this person's.

    Raises what ``refresh`` and ``Provider.complete`` raise.
    """
    return await provider.complete(await _redeem(provider, refresh_token), Binding(), national_id)


async def _redeem(provider: Provider, refresh_token: Token) -> TokenSet:
    answer = await provider.redeem({"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()})
    if isinstance(answer, TokenSet):
        return answer if answer.refresh else replace(answer, refresh=refresh_token)
    error = answer.as_error()
    raise PscSessionOver() if isinstance(error, PscRedeemed) else error
