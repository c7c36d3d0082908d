"""What a provider's JSON says: its fields, each within a limit and none with an exception of Python's own, and tokens.

A ``Token`` is a ``Secret``: a page of its own, locked, never dumped, wiped with its session or its successor. It slips
into no log line, exception or ``repr``. Requests and answers are copies that a library makes; what of them is ours is
overwritten (``cardd.secret.overwrite``). The tokens of one login: RFC 6749, 5.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NoReturn

import msgspec

from cardd.errors import PscGarbled
from cardd.model import JsonValue
from cardd.ports import Clock
from cardd.secret import CAPACITY, Secret, overwrite
from cardd.values import Value, replace

JsonObject = dict[str, JsonValue]
TEXT_MAX = 4096
TOKEN_MAX = 64 * 1024
LIFETIME_MAX = 7 * 86400.0  # seconds
DEFAULT_LIFETIME = 60.0  # where the provider does not tell
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"[ \t\r\n]*+(:)?')  # of JSON; what a colon follows is a key
NUMBER_MAX = 1e15  # any time in seconds, and exact as a float; JSON knows no limit


def parse(raw: bytes, what: str) -> JsonObject:
    """Return a JSON object. Raises PscGarbled, naming ``what`` it should have been.

    An object that has a key twice is none: of its readers one takes the first value, and another the last.
    """
    try:
        value: JsonValue = msgspec.json.decode(raw)
        is_plain = _keys(value) == sum(found.start(1) >= 0 for found in _STRING.finditer(raw))
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise PscGarbled(what=what) from None  # the cause may quote the answer
    if not isinstance(value, dict) or not is_plain:
        raise PscGarbled(what=what)
    return value


def _keys(value: JsonValue) -> int:
    """Return how many keys the objects in a value have."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def text(found: JsonObject, key: str, limit: int = TEXT_MAX) -> str | None:
    """Return a string that is not empty, None where there is none. Raises PscGarbled for a longer one, another type."""
    value = found.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > limit:
        raise PscGarbled(what=key)
    return value


def required(found: JsonObject, key: str, limit: int = TEXT_MAX) -> str:
    """Return a string that must be there. Raises PscGarbled."""
    value = text(found, key, limit)
    if value is None:
        raise PscGarbled(what=key)
    return value


def number(found: JsonObject, key: str) -> float | None:
    """Return a number, None where there is none. Raises PscGarbled for one out of all proportion, another type."""
    value: object = found.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > NUMBER_MAX:
        raise PscGarbled(what=key)
    return float(value)


def texts(found: JsonObject, key: str, most: int = 64) -> tuple[str, ...]:
    """Return a list of strings, or one string as a list of one; empty where there is none. Raises PscGarbled."""
    value = found.get(key)
    if value is None:
        return ()
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > most:
        raise PscGarbled(what=key)
    wrapped: list[JsonObject] = [{key: entry} for entry in listed]
    return tuple(entry for one in wrapped if (entry := text(one, key)) is not None)


def objects(found: JsonObject, key: str, most: int = 64) -> list[JsonObject]:
    """Return a list of objects; empty where there is none. Raises PscGarbled."""
    value = found.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise PscGarbled(what=key)
    listed = [entry for entry in value if isinstance(entry, dict)]
    if len(listed) != len(value):
        raise PscGarbled(what=key)
    return listed


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


class TokenSet(Value):
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
