"""Tokens and secrets, which must not be seen, and the tokens of one login (RFC 6749, 5.1).

A ``Token`` is a ``Secret``: a page of its own, locked, never dumped, wiped with its session or its successor. It slips
into no log line, exception or ``repr``. Requests and answers are copies that a library makes; what of them is ours is
overwritten (``cardd.secret.overwrite``).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn

from cardd.errors import PscGarbled
from cardd.oidc.fields import JsonObject, number, required, text
from cardd.ports import Clock
from cardd.secret import CAPACITY, Secret, overwrite

TOKEN_MAX = 64 * 1024
LIFETIME_MAX = 7 * 86400.0  # seconds
DEFAULT_LIFETIME = 60.0  # where the provider does not tell


class Token:
    """A string that shows itself to nobody who does not call ``reveal``."""

    __slots__ = ("_secret",)

    def __init__(self, value: str) -> None:
        raw = value.encode()
        self._secret = Secret.of(raw)
        overwrite(raw)

    @classmethod
    def from_secret(cls, secret: Secret) -> Token:
        """Return a token that was kept at rest. Raises UnicodeDecodeError when it is no text."""
        with secret.lent_text() as text:
            return cls(text)

    def to_secret(self) -> Secret | None:
        """Return the token for a ``SecretStore``; None for one longer than a store takes (a page)."""
        return self._secret.copy() if len(self._secret) <= CAPACITY else None

    def reveal(self) -> str:
        """Return the string itself, for whoever is given it. Where ``lent`` serves, it is the better way."""
        with self._secret.view() as view:
            return str(view, "utf-8")

    @contextlib.contextmanager
    def lent(self) -> Iterator[str]:
        """The string for a moment; it is overwritten afterwards."""
        with self._secret.lent_text() as text:
            yield text

    def view(self) -> contextlib.AbstractContextManager[memoryview]:
        """The token as bytes, not copied."""
        return self._secret.view()

    def wipe(self) -> None:
        """Forget it; it is empty from now on."""
        self._secret.wipe()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return False
        if other is self:
            return True
        with self.view() as one, other.view() as two:
            return hmac.compare_digest(one, two)

    def __hash__(self) -> int:
        with self.view() as view:
            return hash((Token, hashlib.sha256(view).digest()))

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

    def wipe(self, but: TokenSet | None = None) -> None:
        """Forget the tokens, but for those that another set has too."""
        kept = {id(token) for token in (but.access, but.refresh, but.id_token)} if but else set()
        for token in (self.access, self.refresh, self.id_token):
            if token is not None and id(token) not in kept:
                token.wipe()

    def after(self, previous: TokenSet) -> TokenSet:
        """Return this set, come of a refresh: what the provider did not send anew is still the previous one's."""
        return replace(self, refresh=self.refresh or previous.refresh, id_token=self.id_token or previous.id_token)


def read_tokens(answer: JsonObject, clock: Clock) -> TokenSet:
    """Return the tokens that were given now, and overwrite them in the answer.

    Raises PscGarbled for no token answer, or a kind that is not used here.
    """
    if required(answer, "token_type").lower() != "bearer":
        raise PscGarbled(what="token_type")
    lifetime = _lifetime(answer)
    found = TokenSet(
        access=Token(required(answer, "access_token", TOKEN_MAX)),
        expires_at=clock.now() + timedelta(seconds=lifetime),
        deadline=clock.monotonic() + lifetime,
        refresh=_token(answer, "refresh_token"),
        id_token=_token(answer, "id_token"),
    )
    for name in ("access_token", "refresh_token", "id_token"):
        if isinstance(value := answer.pop(name, None), str):
            overwrite(value)
    return found


def _token(answer: JsonObject, key: str) -> Token | None:
    value = text(answer, key, TOKEN_MAX)
    return None if value is None else Token(value)


def _lifetime(answer: JsonObject) -> float:
    seconds = number(answer, "expires_in")
    return DEFAULT_LIFETIME if seconds is None or seconds <= 0 else min(seconds, LIFETIME_MAX)
