"""The provider's public keys (RFC 7517), and finding them again after it changed them.

A token that names an unknown key makes us fetch the keys once more, but no more often than ``REFETCH_INTERVAL``, so
that forged tokens cannot make us hammer the provider; ``RETRY_INTERVAL`` where the provider did not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from cardd.errors import PscUnavailable
from cardd.oidc.fields import JsonObject, objects, text
from cardd.ports import Clock

MAX_AGE = 3600.0
REFETCH_INTERVAL = 30.0
RETRY_INTERVAL = 1.0
RSA_BITS_MIN = 2048
KEYS_MAX = 64

PublicKey = RSAPublicKey | EllipticCurvePublicKey
Fetch = Callable[[], Awaitable[JsonObject]]


class KeySet:
    """The keys behind one ``jwks_uri``; ``fetch`` brings the document."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: list[JsonObject] = []
        self._fetched: float | None = None
        self._refetch_from = 0.0

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The one key of that id that serves the algorithm; None when there is none, or no id and several.

        Raises PscUnavailable, PscCertificate, PscGarbled while fetching.
        """
        async with self._lock:
            if self._fetched is None or self._clock.monotonic() - self._fetched >= MAX_AGE:
                await self._load_anew()
            return self._pick(kid, algorithm) or await self._refetched_key(kid, algorithm)

    async def find_again(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The same after a signature did not hold: None when the keys were fetched anew a moment ago. Raises so too."""
        async with self._lock:
            return await self._refetched_key(kid, algorithm)

    async def _refetched_key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        now = self._clock.monotonic()
        if now < self._refetch_from:
            return None
        self._refetch_from = now + RETRY_INTERVAL
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

    async def _load(self) -> None:
        self._keys = objects(await self._fetch(), "keys", KEYS_MAX)
        self._fetched = self._clock.monotonic()

    def _pick(self, kid: str | None, algorithm: str) -> PublicKey | None:
        named = [key for key in self._keys if kid is None or text(key, "kid") == kid]
        suiting = [usable for key in named if (usable := _usable(key, algorithm)) is not None]
        return suiting[0] if len(suiting) == 1 else None


def _usable(jwk: JsonObject, algorithm: str) -> PublicKey | None:
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    if jwk.get("kty") != ("EC" if algorithm.startswith("ES") else "RSA"):
        return None
    try:
        key: object = PyJWK({**jwk, "alg": algorithm}).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey):
        return key if key.key_size >= RSA_BITS_MIN else None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None
