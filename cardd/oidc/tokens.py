"""Tokens and secrets, which must not be seen, and the tokens of one login (RFC 6749, 5.1).

They live in memory as long as their session; ``Secret`` (a locked page each) is for the PIN and for what goes to the
keyring. What a ``Token`` prevents is that one slips into a log line, an exception or a ``repr``.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn

from cardd.errors import PscGarbled
from cardd.oidc.fields import JsonObject, number, required, text
from cardd.ports import Clock
from cardd.secret import CAPACITY, Secret

TOKEN_MAX = 64 * 1024
LIFETIME_MAX = 7 * 86400.0  # seconds
DEFAULT_LIFETIME = 60.0  # where the provider does not tell


class Token:
    """A string that shows itself to nobody who does not call ``reveal``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def from_secret(cls, secret: Secret) -> Token:
        """Return a token that was kept at rest. Raises UnicodeDecodeError when it is no text."""
        with secret.view() as view:
            return cls(str(view, "utf-8"))

    def to_secret(self) -> Secret | None:
        """Return the token for a ``SecretStore``; None for one longer than a ``Secret`` may be (a page)."""
        raw = self._value.encode()
        return Secret.of(raw) if len(raw) <= CAPACITY else None

    def reveal(self) -> str:
        """Return the string itself, for the request that needs it and for nothing else."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and hmac.compare_digest(self._value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Token, self._value))

    def __repr__(self) -> str:
        return "<Token>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not written down")


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Access token, and refresh and ID token where there are any.

    ``expires_at`` is for people; ``deadline`` (``Clock.monotonic``) decides, whatever is done to the time of day.
    """

    access: Token
    expires_at: datetime
    deadline: float
    refresh: Token | None = None
    id_token: Token | None = None

    def after(self, previous: TokenSet) -> TokenSet:
        """Return this set, come of a refresh: what the provider did not send anew is still the previous one's."""
        return replace(self, refresh=self.refresh or previous.refresh, id_token=self.id_token or previous.id_token)


def read_tokens(answer: JsonObject, clock: Clock) -> TokenSet:
    """Return the tokens that were given now. Raises PscGarbled for no token answer, or a kind that is not used here."""
    if required(answer, "token_type").lower() != "bearer":
        raise PscGarbled(what="token_type")
    lifetime = _lifetime(answer)
    return TokenSet(
        access=Token(required(answer, "access_token", TOKEN_MAX)),
        expires_at=clock.now() + timedelta(seconds=lifetime),
        deadline=clock.monotonic() + lifetime,
        refresh=_token(answer, "refresh_token"),
        id_token=_token(answer, "id_token"),
    )


def _token(answer: JsonObject, key: str) -> Token | None:
    value = text(answer, key, TOKEN_MAX)
    return None if value is None else Token(value)


def _lifetime(answer: JsonObject) -> float:
    seconds = number(answer, "expires_in")
    return DEFAULT_LIFETIME if seconds is None or seconds <= 0 else min(seconds, LIFETIME_MAX)
