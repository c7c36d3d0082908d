"""Strings that must not be seen: access, refresh and ID tokens, client secrets.

They live in memory as long as their session; ``Secret`` (a locked page each) is for the PIN and for what goes to the
keyring. What a ``Token`` prevents is that one slips into a log line, an exception or a ``repr``.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

from cardd.secret import CAPACITY, Secret


class Token:
    """A string that shows itself to nobody who does not call ``reveal``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def from_secret(cls, secret: Secret) -> Token:
        """A token that was kept at rest. Raises UnicodeDecodeError when it is no text."""
        with secret.view() as view:
            return cls(str(view, "utf-8"))

    def to_secret(self) -> Secret | None:
        """The token for a ``SecretStore``; None for one longer than a ``Secret`` may be (a page)."""
        raw = self._value.encode()
        return Secret.of(raw) if len(raw) <= CAPACITY else None

    def reveal(self) -> str:
        """The string itself, for the request that needs it and for nothing else."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and hmac.compare_digest(self._value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Token, self._value))

    def __repr__(self) -> str:
        return "<Token>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not written down")
