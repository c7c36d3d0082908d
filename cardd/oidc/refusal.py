"""What the provider says no with: OAuth's error codes, and the errors of cardd that they become.

The codes are RFC 6749 5.2's and CIBA Core 11 and 13's. Keycloak, which PSC is, has its own use of some: 401
``unauthorized_client`` for wrong credentials, ``invalid_grant`` "Client not allowed OIDC CIBA Grant" for a service
without CIBA, ``invalid_request`` "invalid_user" for an unknown login hint.
"""

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
    "unauthorized_client": PscClientRefused,
    "access_denied": PscDenied,
    "expired_token": PscExpired,
    "invalid_grant": PscRedeemed,
    "unknown_user_id": PscLoginHintUnknown,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An OAuth error code, empty where the answer has none; ``description`` is compared, never shown."""

    error: str
    status: int = 400
    description: str = ""

    def as_error(self) -> CarddError:
        """The error of its own that the code has, or PscRequestRefused with the code."""
        kind = _ERRORS.get(self.error)
        if kind is not None:
            return kind()
        return PscRequestRefused(error=self.error if _SHOWN.fullmatch(self.error) else f"HTTP {self.status}")

    def as_start_error(self) -> CarddError:
        """The same for a login by mobile that could not begin."""
        if "not allowed" in self.description or (self.error == "unauthorized_client" and self.status == 400):
            return PscNoCiba()
        if self.description == "invalid_user":
            return PscLoginHintUnknown()
        return self.as_error()
