"""What the provider says no with: OAuth's error codes, and the errors of cardd that they become."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cardd.errors import (
    CarddError,
    PscClientRefused,
    PscDenied,
    PscExpired,
    PscLoginHintUnknown,
    PscNoCiba,
    PscRedeemed,
    PscRequestRefused,
)

_SHOWN = re.compile(r"[a-z_]{1,64}")
_ERRORS: dict[str, type[CarddError]] = {
    "invalid_client": PscClientRefused,
    "access_denied": PscDenied,
    "expired_token": PscExpired,
    "invalid_grant": PscRedeemed,
    "unknown_user_id": PscLoginHintUnknown,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An OAuth error code (RFC 6749 5.2, CIBA Core 11 and 13), empty where the answer has none."""

    error: str

    def as_error(self) -> CarddError:
        """The error of its own that the code has, or PscRequestRefused with the code."""
        kind = _ERRORS.get(self.error)
        if kind is not None:
            return kind()
        return PscRequestRefused(error=self.error if _SHOWN.fullmatch(self.error) else "?")

    def as_start_error(self) -> CarddError:
        """The same for a login by mobile that could not begin: the service may not have it (CIBA Core 13)."""
        return PscNoCiba() if self.error == "unauthorized_client" else self.as_error()
