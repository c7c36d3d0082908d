"""Signed tokens of the provider (JWS, RFC 7515): the signature first, then what every kind of them must say.

PyJWT checks signatures; claims are compared here, against cardd's clock, so that each fault has its own error. Only
asymmetric algorithms are accepted, whatever the token or the provider says (RFC 8725, 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from jwt import PyJWS
from jwt.exceptions import InvalidSignatureError, PyJWTError

from cardd.errors import (
    PscGarbled,
    PscTokenAlgorithm,
    PscTokenAudience,
    PscTokenExpired,
    PscTokenFromFuture,
    PscTokenIssuer,
    PscTokenKey,
    PscTokenMalformed,
    PscTokenSignature,
)
from cardd.oidc.fields import JsonObject, number, parse, texts
from cardd.oidc.jwks import KeySet, PublicKey

ALGORITHMS = ("RS256", "PS256", "ES256")
SIZE_MAX = 64 * 1024

_jws = PyJWS(algorithms=ALGORITHMS)


@dataclass(frozen=True, slots=True)
class Signed:
    """A token whose signature is right: its header's ``typ``, and its claims, not yet compared."""

    type: str | None
    claims: JsonObject


async def verify(raw: str, keys: KeySet, token: str) -> Signed:
    """Check the signature; ``token`` says in errors which one it is.

    Raises PscTokenMalformed, PscTokenAlgorithm, PscTokenKey, PscTokenSignature, and what fetching the keys raises.
    """
    header = _header(raw, token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise PscTokenAlgorithm(token=token)
    kid, type_ = _text(header, "kid", token), _text(header, "typ", token)
    key = await keys.find(kid, algorithm)
    if key is None:
        raise PscTokenKey(token=token)
    try:
        return Signed(type_, _claims(raw, key, algorithm, token))
    except PscTokenSignature:  # it may be a new key that has no id, or the old one's
        again = await keys.find_again(kid, algorithm)
        if again is None:
            raise
        return Signed(type_, _claims(raw, again, algorithm, token))


def check_issuer(claims: JsonObject, issuer: str, token: str) -> None:
    """Raises PscTokenIssuer."""
    if claims.get("iss") != issuer:
        raise PscTokenIssuer(token=token)


def check_audience(claims: JsonObject, client_id: str, token: str) -> None:
    """OpenID Connect Core 3.1.3.7, 3 to 5: made for us, and by our order where others may read it too.

    Raises PscTokenAudience.
    """
    try:
        audience = texts(claims, "aud")
    except PscGarbled:
        raise PscTokenAudience(token=token) from None
    ordered_by = claims.get("azp", client_id if len(audience) == 1 else None)
    if client_id not in audience or ordered_by != client_id:
        raise PscTokenAudience(token=token)


def check_times(claims: JsonObject, now: float, skew: float, token: str, *, required: bool = True) -> None:
    """``exp`` and ``iat`` must be there where they are ``required``; the clocks may differ by ``skew`` seconds.

    Raises PscTokenMalformed, PscTokenExpired, PscTokenFromFuture.
    """
    try:
        issued, until, since = (number(claims, key) for key in ("iat", "exp", "nbf"))
    except PscGarbled:
        raise PscTokenMalformed(token=token) from None
    if required and None in (issued, until):
        raise PscTokenMalformed(token=token)
    if until is not None and now >= until + skew:
        raise PscTokenExpired(token=token)
    if max(issued or 0.0, since or 0.0) > now + skew:
        raise PscTokenFromFuture(token=token)


def _claims(raw: str, key: PublicKey, algorithm: str, token: str) -> JsonObject:
    try:
        return parse(_jws.decode(raw, key, algorithms=[algorithm]), token)
    except InvalidSignatureError:
        raise PscTokenSignature(token=token) from None
    except (PyJWTError, PscGarbled, ValueError):
        raise PscTokenMalformed(token=token) from None


def _header(raw: str, token: str) -> dict[str, object]:
    try:
        if len(raw) > SIZE_MAX:
            raise PscTokenMalformed(token=token)
        header: dict[str, object] = _jws.get_unverified_header(raw)
    except (PyJWTError, ValueError, RecursionError):
        raise PscTokenMalformed(token=token) from None
    if "crit" in header:
        raise PscTokenMalformed(token=token)  # extensions that we do not know (RFC 7515, 4.1.11)
    return header


def _text(header: dict[str, object], key: str, token: str) -> str | None:
    value = header.get(key)
    if value is not None and not isinstance(value, str):
        raise PscTokenMalformed(token=token)
    return value
