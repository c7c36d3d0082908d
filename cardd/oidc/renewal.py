"""New tokens for old ones: those of a login before they end, and one for an API Pro Santé Connectée.

RFC 6749, 6 (refresh), also after a restart; RFC 8693 (token exchange).
"""

from __future__ import annotations

import base64
import binascii

from yarl import URL

from cardd.errors import PscGarbled, PscOtherPerson, PscRedeemed, PscSessionOver, PscTokenBinding
from cardd.oidc.discovery import check_protected
from cardd.oidc.http import Form, Refusal
from cardd.oidc.provider import Login, Provider
from cardd.oidc.signed import Binding
from cardd.oidc.tokens import JsonObject, Token, TokenSet, parse, read_tokens
from cardd.values import replace

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - its type
NAME = "token_exchange"
TOKEN = "access_token"  # noqa: S105 - its name
THUMBPRINT = "x5t#S256"


async def redeem(provider: Provider, refresh_token: Token | None) -> TokenSet:
    """Return new tokens, not looked at yet. Sent once: the provider may have given the refresh token out anew.

    Keep theirs at once, whatever comes of ``checked``: the old one may be worth nothing any more. Raises PscSessionOver
    when the provider ended the session, or there is nothing to refresh with, and what ``Provider.redeem`` raises.
    """
    if refresh_token is None:
        raise PscSessionOver
    answer = await provider.redeem({"grant_type": "refresh_token", "refresh_token": refresh_token})
    if isinstance(answer, TokenSet):
        return answer if answer.refresh else replace(answer, refresh=refresh_token)
    error = answer.as_error()
    raise PscSessionOver() if isinstance(error, PscRedeemed) else error


async def checked(provider: Provider, login: Login, fresh: TokenSet) -> TokenSet:
    """Return the tokens of ``redeem`` for the same person, and what only the old ones have.

    Raises PscOtherPerson, PscUnavailable, PscGarbled, and the PscToken… errors.
    """
    if fresh.id_token is not None:  # OpenID Connect Core 12.2: it may be left out
        told = await provider.check(fresh, Binding())
        if told.subject != login.id_token.subject:
            raise PscOtherPerson
    return fresh.after(login.tokens)


async def exchange(
    provider: Provider,
    access_token: Token,
    *,
    endpoint: str | None = None,
    audience: str | None = None,
    scope: str | None = None,
    thumbprint: str | None = None,
) -> TokenSet:
    """Return the API's token. ``endpoint`` is the configured address of the API's server, the provider's own without.

    Another server than the provider's gets no secret of the service's: it knows us by our certificate (RFC 8705), or by
    an assertion made for it.

    ``thumbprint`` is our certificate's: a token that says it is bound to another one (RFC 8705, 3.1) is refused, one
    that says nothing is the API's to judge. Raises PscRequestRefused, PscRedeemed when the access token is no longer
    good, PscTokenBinding, PscDiscoveryInsecure for an endpoint without https, and what ``Provider.ask`` raises.
    """
    if endpoint is not None:
        check_protected(NAME, URL(endpoint), loopback_http=provider.settings.allow_loopback_http)
    wanted = {"audience": audience, "scope": scope}
    form: Form = {
        "grant_type": GRANT,
        "subject_token": access_token,
        "subject_token_type": ACCESS_TOKEN,
        "requested_token_type": ACCESS_TOKEN,
        **{name: value for name, value in wanted.items() if value},
    }
    own = await provider.endpoint("token")
    is_own = endpoint is None or URL(endpoint).origin() == URL(own).origin()
    answer = await (provider.ask(endpoint or own, form) if is_own else provider.ask_elsewhere(endpoint or own, form))
    if isinstance(answer, Refusal):
        raise answer.as_error()
    tokens = read_tokens(answer, provider.clock)
    if thumbprint is not None and bound_to(tokens.access) not in (None, thumbprint):
        raise PscTokenBinding(token=TOKEN, claim=THUMBPRINT)
    return tokens


def bound_to(access_token: Token) -> str | None:
    """Return the thumbprint of the certificate that a token names; None where it names none or cannot be read."""
    confirmation = _claims(access_token).get("cnf")
    found = confirmation.get(THUMBPRINT) if isinstance(confirmation, dict) else None
    return found if isinstance(found, str) else None


def _claims(access_token: Token) -> JsonObject:
    """Return what a JWT says, its signature left to the API; nothing for any other kind of token."""
    parts = access_token.reveal().split(".")
    try:
        return parse(base64.urlsafe_b64decode(parts[1] + "=="), TOKEN) if len(parts) == 3 else {}
    except (PscGarbled, binascii.Error, ValueError):
        return {}
