"""The ID token: who logged in, when and for whom (OpenID Connect Core 3.1.3.7; CIBA Core 10.3.1 for its binding)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from cardd.errors import PscTokenBinding, PscTokenLevel, PscTokenMalformed
from cardd.oidc.fields import JsonObject
from cardd.oidc.jwks import KeySet
from cardd.oidc.settings import ProviderSettings
from cardd.oidc.signed import check_audience, check_issuer, check_times, verify
from cardd.oidc.token import Token

TOKEN = "id_token"  # noqa: S105 - its name
AUTH_REQ_ID = "urn:openid:params:jwt:claim:auth_req_id"
SUBJECT_MAX = 255


@dataclass(frozen=True, slots=True)
class Binding:
    """What ties the token to one login: the nonce of a browser login, the auth_req_id of a CIBA one.

    A nonce that was sent must come back. The auth_req_id comes back in CIBA's push mode only; where it does, it is
    compared. A refreshed token need have neither.
    """

    nonce: str | None = None
    auth_req_id: str | None = None


@dataclass(frozen=True, slots=True)
class IdToken:
    """What a valid ID token says: the subject, the provider's session id and the level of the login where told."""

    subject: str
    sid: str | None
    acr: str | None


async def check_id_token(
    raw: Token, access_token: Token, binding: Binding, *, settings: ProviderSettings, keys: KeySet, now: float
) -> IdToken:
    """Validate it whole. ``now`` is in seconds since 1970. Raises one of the PscToken… errors, or what ``keys`` do."""
    claims = (await verify(raw.reveal(), keys, TOKEN)).claims
    check_issuer(claims, settings.issuer, TOKEN)
    check_audience(claims, settings.client_id, TOKEN)
    check_times(claims, now, settings.skew, TOKEN)
    _check_binding(claims, binding, access_token)
    subject, acr, sid = claims.get("sub"), claims.get("acr"), claims.get("sid")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX:
        raise PscTokenMalformed(token=TOKEN)
    if acr is not None and acr != settings.acr:  # PSC has left it out: its absence alone is no failure
        raise PscTokenLevel(token=TOKEN)
    return IdToken(subject, sid if isinstance(sid, str) else None, settings.acr if acr else None)


def _check_binding(claims: JsonObject, binding: Binding, access_token: Token) -> None:
    if binding.nonce is not None and not _equal(claims.get("nonce"), binding.nonce):
        raise PscTokenBinding(token=TOKEN, claim="nonce")
    for claim, wanted in ((AUTH_REQ_ID, binding.auth_req_id), ("at_hash", hash_of(access_token))):
        if claim in claims and wanted is not None and not _equal(claims[claim], wanted):
            raise PscTokenBinding(token=TOKEN, claim=claim.rpartition(":")[2])


def hash_of(access_token: Token) -> str:
    """Its at_hash for the algorithms that end in 256 (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.sha256(access_token.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _equal(claim: object, wanted: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode(), wanted.encode())
