"""The tokens of one login, as the token endpoint gives them (RFC 6749, 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cardd.errors import PscGarbled
from cardd.oidc.fields import JsonObject, number, required, text
from cardd.oidc.token import Token

TOKEN_MAX = 64 * 1024
LIFETIME_MAX = 7 * 86400.0
DEFAULT_LIFETIME = 60.0  # where the provider does not tell


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Access token, and refresh and ID token where there are any; times are aware UTC.

    ``refresh_expires_at`` is None where the provider does not tell (PSC's Keycloak does: ``refresh_expires_in``).
    """

    access: Token
    expires_at: datetime
    refresh: Token | None = None
    refresh_expires_at: datetime | None = None
    id_token: Token | None = None
    scope: str | None = None

    def after(self, previous: TokenSet) -> TokenSet:
        """This set, come of a refresh: what the provider did not send anew is still the previous one's."""
        return replace(
            self,
            refresh=self.refresh or previous.refresh,
            refresh_expires_at=self.refresh_expires_at if self.refresh else previous.refresh_expires_at,
            id_token=self.id_token or previous.id_token,
        )


def read_tokens(answer: JsonObject, now: datetime) -> TokenSet:
    """Raises PscGarbled when it is no token answer, or of a kind that is not used here."""
    if required(answer, "token_type").lower() != "bearer":
        raise PscGarbled(what="token_type")
    return TokenSet(
        access=Token(required(answer, "access_token", TOKEN_MAX)),
        expires_at=now + timedelta(seconds=_lifetime(answer, "expires_in") or DEFAULT_LIFETIME),
        refresh=_token(answer, "refresh_token"),
        refresh_expires_at=_end(answer, "refresh_expires_in", now),
        id_token=_token(answer, "id_token"),
        scope=text(answer, "scope"),
    )


def _token(answer: JsonObject, key: str) -> Token | None:
    value = text(answer, key, TOKEN_MAX)
    return None if value is None else Token(value)


def _end(answer: JsonObject, key: str, now: datetime) -> datetime | None:
    seconds = _lifetime(answer, key)
    return now + timedelta(seconds=seconds) if seconds else None


def _lifetime(answer: JsonObject, key: str) -> float | None:
    """Keycloak says 0 for a refresh token without an end of its own."""
    seconds = number(answer, key)
    return None if seconds is None or seconds <= 0 else min(seconds, LIFETIME_MAX)
