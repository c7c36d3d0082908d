"""Hearing that the provider ended a login: Back-Channel Logout 1.0, Front-Channel Logout 1.0."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from cardd.errors import PscGarbled, PscTokenMalformed, PscTokenReplayed
from cardd.oidc.provider import Provider
from cardd.oidc.signed import IdToken, check_audience, check_issuer, check_times, check_type, verify
from cardd.oidc.tokens import JsonObject, number
from cardd.values import Value

TOKEN = "logout_token"  # noqa: S105 - its name
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = (None, "jwt", "logout+jwt")
LIFETIME = 120.0  # of a logout token without an end of its own
REMEMBERED = 1024


class LogoutNotice(Value):
    """The provider says that a session ended: that ``sid``, or all those of ``subject`` where there is no sid."""

    subject: str | None
    sid: str | None

    def concerns(self, login: IdToken) -> bool:
        """Return whether it is this login that ended."""
        if self.sid is not None and login.sid is not None:
            return hmac.compare_digest(*(sid.encode(errors="replace") for sid in (self.sid, login.sid)))
        return self.subject is not None and self.subject == login.subject


class LogoutNotices:
    """Checks what comes over the back channel and the front channel; each logout token is good once."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._seen: dict[str, float] = {}

    async def back_channel(self, raw: str) -> LogoutNotice:
        """Validate a logout token (2.6 there). Raises the PscToken… errors, or what fetching the keys raises."""
        settings = self._provider.settings
        signed = await verify(raw, self._provider.keys, TOKEN)
        check_type(signed, TYPES, TOKEN)
        claims = _with_end(signed.claims)
        check_issuer(claims, settings.issuer, TOKEN)
        check_audience(claims, settings.client_id, TOKEN)
        now = self._provider.clock.now().timestamp()
        check_times(claims, now, settings.skew, TOKEN)
        notice, jti = _read(claims), claims.get("jti")
        if "nonce" in claims or not isinstance(jti, str):
            raise PscTokenMalformed(token=TOKEN)
        self._remember(jti, (number(claims, "exp") or now) + settings.skew, now)
        return notice

    def front_channel(self, query: Mapping[str, str]) -> LogoutNotice | None:
        """Return what the provider's request to our logout page (3 there) says; None where it names no session.

        The request carries no proof: one that does not name the provider and a session's own ``sid`` ends nothing.
        """
        is_ours = query.get("iss") == self._provider.settings.issuer
        return LogoutNotice(None, query["sid"]) if is_ours and query.get("sid") else None

    def _remember(self, jti: str, until: float, now: float) -> None:
        self._seen = {known: end for known, end in self._seen.items() if end > now}
        if jti in self._seen or len(self._seen) >= REMEMBERED:
            raise PscTokenReplayed(token=TOKEN)
        self._seen[jti] = until


def _with_end(claims: JsonObject) -> JsonObject:
    """Give a token of an older provider, which sends no ``exp``, an end: two minutes after it was made."""
    try:
        made = number(claims, "iat")
    except PscGarbled:
        return claims
    return claims if made is None or "exp" in claims else {**claims, "exp": int(made + LIFETIME)}


def _read(claims: JsonObject) -> LogoutNotice:
    events, subject, sid = claims.get("events"), claims.get("sub"), claims.get("sid")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise PscTokenMalformed(token=TOKEN)
    subject, sid = (value if isinstance(value, str) else None for value in (subject, sid))
    if subject is None and sid is None:
        raise PscTokenMalformed(token=TOKEN)
    return LogoutNotice(subject, sid)
