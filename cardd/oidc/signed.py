"""Signed tokens of the provider (JWS, RFC 7515): its keys, the signature, then what every kind of token must say.

PyJWT checks signatures; claims are compared here, against cardd's clock, so that each fault has its own error. Only
asymmetric algorithms are accepted, whatever the token or the provider says (RFC 8725, 3.1).

What stands among the keys and is none that we use (another kind, not even a key) is passed over; where several bear the
token's name, each is tried: all of them are the provider's.

A token that names an unknown key makes us fetch the keys (RFC 7517) once more, but no more often than
``REFETCH_INTERVAL``, so that forged tokens cannot make us hammer the provider.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Collection

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWS
from jwt.exceptions import InvalidSignatureError, PyJWTError

from cardd.errors import (
    PscGarbled,
    PscTokenAlgorithm,
    PscTokenAudience,
    PscTokenBinding,
    PscTokenExpired,
    PscTokenFromFuture,
    PscTokenIssuer,
    PscTokenKey,
    PscTokenLevel,
    PscTokenMalformed,
    PscTokenSignature,
    PscTokenStale,
    PscTokenType,
    PscUnavailable,
)
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.http import SharedFetch
from cardd.oidc.tokens import JsonObject, Token, number, parse, texts
from cardd.ports import Clock
from cardd.values import Value

ALGORITHMS = ("RS256", "PS256", "ES256")
SIZE_MAX = 64 * 1024
MAX_AGE = 3600.0  # seconds, of the keys
REFETCH_INTERVAL = 30.0
RSA_BITS_MIN = 2048
KEYS_MAX = 64
ISSUED_AGE = 300.0  # seconds: a token comes from the provider as soon as it is made
LOGIN_AGE = 12 * 3600.0  # seconds: PSC's own sessions, in which the page asks nobody, last four hours
TYPES = (None, "jwt")  # of a token that has no kind of its own (RFC 7519, 5.1)
OTHER_KINDS = ("Bearer", "DPoP", "Refresh", "Offline", "Logout")  # Keycloak says the kind among the claims
ID_TOKEN = "id_token"  # noqa: S105 - its name
AUTH_REQ_ID = "urn:openid:params:jwt:claim:auth_req_id"
SUBJECT_MAX = 255
LEVEL_MAX = 40
_LEVEL = re.compile(r"(\D*)(\d{1,9})", re.ASCII)

PublicKey = RSAPublicKey | EllipticCurvePublicKey
Fetch = Callable[[], Awaitable[JsonObject]]

_jws = PyJWS(algorithms=ALGORITHMS)


class KeySet:
    """The keys behind one ``jwks_uri``; ``fetch`` brings the document."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._load = SharedFetch(self._loaded, clock)
        self._keys: list[JsonObject] = []
        self._fetched: float | None = None
        self._refetch_from = 0.0

    async def find(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        """Return the keys of that id, or all without one, that serve the algorithm.

        Raises PscUnavailable, PscCertificate, PscGarbled while fetching.
        """
        if self._fetched is None or self._clock.monotonic() - self._fetched >= MAX_AGE:
            await self._load_anew()
        return self._pick(kid, algorithm) or await self._refetched(kid, algorithm)

    async def find_again(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        """Return the keys after a signature did not hold: none when they were fetched anew a moment ago.

        Raises as ``find``.
        """
        return await self._refetched(kid, algorithm)

    async def _refetched(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        now = self._clock.monotonic()
        if now < self._refetch_from and not self._load.is_running:
            return []
        await self._load()
        self._refetch_from = now + REFETCH_INTERVAL
        return self._pick(kid, algorithm)

    async def _load_anew(self) -> None:
        """Keys that were good an hour ago serve while the provider is away; it is asked again after a while."""
        try:
            await self._load()
        except PscUnavailable:
            if not self._keys:
                raise
            self._fetched = self._clock.monotonic() - MAX_AGE + REFETCH_INTERVAL

    async def _loaded(self) -> None:
        found = (await self._fetch()).get("keys")
        if not isinstance(found, list):
            raise PscGarbled(what="keys")
        self._keys = [key for key in found[:KEYS_MAX] if isinstance(key, dict)]
        self._fetched = self._clock.monotonic()

    def _pick(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        named = [key for key in self._keys if kid is None or key.get("kid") == kid]
        return [usable for key in named if (usable := _usable(key, algorithm)) is not None]


def _usable(jwk: JsonObject, algorithm: str) -> PublicKey | None:
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    if jwk.get("kty") != ("EC" if algorithm.startswith("ES") else "RSA"):
        return None
    try:
        key: object = PyJWK({**jwk, "alg": algorithm}).key
    except Exception:  # noqa: BLE001 - what is no key of ours may be anything, and must not keep ours from serving
        return None
    if isinstance(key, RSAPublicKey):
        return key if key.key_size >= RSA_BITS_MIN else None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None


class Signed(Value):
    """A token whose signature is right: its header's ``typ``, and its claims, not yet compared."""

    type: str | None
    claims: JsonObject


async def verify(raw: str, keys: KeySet, token: str) -> Signed:
    """Check the signature; ``token`` says in errors which token it is.

    Raises PscTokenMalformed, PscTokenAlgorithm, PscTokenKey, PscTokenSignature, and what fetching the keys raises.
    """
    header = _header(raw, token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise PscTokenAlgorithm(token=token)
    kid, type_ = _text(header, "kid", token), _text(header, "typ", token)
    found = await keys.find(kid, algorithm)
    if not found:
        raise PscTokenKey(token=token)
    try:
        return Signed(type_, _claims(raw, found, algorithm, token))
    except PscTokenSignature:  # it may be a new key that has no id, or the old one's
        again = await keys.find_again(kid, algorithm)
        if not again:
            raise
        return Signed(type_, _claims(raw, again, algorithm, token))


def check_type(signed: Signed, allowed: Collection[str | None], token: str) -> None:
    """Check that the header's ``typ``, in lower case, is allowed (RFC 8725, 3.11). Raises PscTokenType."""
    kind = signed.type.lower().removeprefix("application/") if signed.type is not None else None
    if kind not in allowed:
        raise PscTokenType(token=token)


def check_issuer(claims: JsonObject, issuer: str, token: str) -> None:
    """Check that the provider made it. Raises PscTokenIssuer."""
    if claims.get("iss") != issuer:
        raise PscTokenIssuer(token=token)


def check_audience(claims: JsonObject, client_id: str, token: str) -> None:
    """Check that it was made for us, and by our order where others may read it too (OpenID Connect Core 3.1.3.7).

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
    """Check ``exp`` and ``iat``, which must be there where ``required``; the clocks may differ by ``skew`` seconds.

    Raises PscTokenMalformed, PscTokenExpired, PscTokenFromFuture, PscTokenStale.
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
    if issued is not None and now >= issued + ISSUED_AGE + skew:
        raise PscTokenStale(token=token, claim="iat")


class Binding(Value):
    """What ties the token to one login: the nonce of a browser login, the auth_req_id of a CIBA one.

    A nonce that was sent must come back. The auth_req_id comes back in CIBA's push mode only; where it does, it is
    compared. A refreshed token need have neither.
    """

    nonce: str | None = None
    auth_req_id: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether the token is a new login's, and not a refreshed one, which tells of the login before."""
        return (self.nonce, self.auth_req_id) != (None, None)


class IdToken(Value):
    """What a valid ID token says: the subject, and the provider's session id where it is told."""

    subject: str
    sid: str | None


async def check_id_token(
    raw: Token, access_token: Token, binding: Binding, *, settings: ProviderSettings, keys: KeySet, now: float
) -> IdToken:
    """Validate an ID token whole (OpenID Connect Core 3.1.3.7). ``now`` is in seconds since 1970.

    Raises one of the PscToken… errors, or what ``keys`` raises.
    """
    signed = await verify(raw.reveal(), keys, ID_TOKEN)
    claims = signed.claims
    check_type(signed, TYPES, ID_TOKEN)
    if claims.get("typ") in OTHER_KINDS or "events" in claims:
        raise PscTokenType(token=ID_TOKEN)
    check_issuer(claims, settings.issuer, ID_TOKEN)
    check_audience(claims, settings.client_id, ID_TOKEN)
    check_times(claims, now, settings.skew, ID_TOKEN)
    _check_binding(claims, binding, access_token)
    if binding.is_new:
        _check_login_time(claims, now, settings.skew)
    subject, acr, sid = claims.get("sub"), claims.get("acr"), claims.get("sid")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX:
        raise PscTokenMalformed(token=ID_TOKEN)
    if acr is not None and settings.acr and not reaches(acr, settings.acr):  # PSC has left it out: that is no failure
        raise PscTokenLevel(token=ID_TOKEN, level=acr[:LEVEL_MAX] if isinstance(acr, str) else "–", least=settings.acr)
    return IdToken(subject, sid if isinstance(sid, str) else None)


def _check_binding(claims: JsonObject, binding: Binding, access_token: Token) -> None:
    if binding.nonce is not None and not _equal(claims.get("nonce"), binding.nonce):
        raise PscTokenBinding(token=ID_TOKEN, claim="nonce")
    for claim, wanted in ((AUTH_REQ_ID, binding.auth_req_id), ("at_hash", hash_of(access_token))):
        if claim in claims and wanted is not None and not _equal(claims[claim], wanted):
            raise PscTokenBinding(token=ID_TOKEN, claim=claim.rpartition(":")[2])


def _check_login_time(claims: JsonObject, now: float, skew: float) -> None:
    try:
        logged_in = number(claims, "auth_time")
    except PscGarbled:
        raise PscTokenMalformed(token=ID_TOKEN) from None
    if logged_in is not None and logged_in > now + skew:
        raise PscTokenFromFuture(token=ID_TOKEN)
    if logged_in is not None and now >= logged_in + LOGIN_AGE + skew:
        raise PscTokenStale(token=ID_TOKEN, claim="auth_time")


def reaches(level: object, least: str) -> bool:
    """Return whether a level of authentication is the least one or above: a higher number behind the same word."""
    if not isinstance(level, str):
        return False
    told, wanted = _LEVEL.fullmatch(level), _LEVEL.fullmatch(least)
    if told is None or wanted is None:
        return level == least
    return told[1] == wanted[1] and int(told[2]) >= int(wanted[2])


def hash_of(access_token: Token) -> str:
    """Return its at_hash for the algorithms that end in 256 (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.sha256(access_token.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _equal(claim: object, wanted: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode(), wanted.encode())


def _claims(raw: str, keys: list[PublicKey], algorithm: str, token: str) -> JsonObject:
    for key in keys:
        try:
            return parse(_jws.decode(raw, key, algorithms=[algorithm]), token)
        except InvalidSignatureError:
            continue
        except (PyJWTError, PscGarbled, ValueError):
            raise PscTokenMalformed(token=token) from None
    raise PscTokenSignature(token=token)


def _header(raw: str, token: str) -> dict[str, object]:
    try:
        if len(raw) > SIZE_MAX:
            raise PscTokenMalformed(token=token)
        header: dict[str, object] = _jws.get_unverified_header(raw)
    except (PyJWTError, ValueError, RecursionError):
        raise PscTokenMalformed(token=token) from None
    if "crit" in header:  # pragma: no cover - newer versions of PyJWT have refused it
        raise PscTokenMalformed(token=token)  # extensions that we do not know (RFC 7515, 4.1.11)
    return header


def _text(header: dict[str, object], key: str, token: str) -> str | None:
    value = header.get(key)
    if value is not None and not isinstance(value, str):
        raise PscTokenMalformed(token=token)
    return value
