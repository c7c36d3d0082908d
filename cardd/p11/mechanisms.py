"""Which mechanisms a key has, and what a program asks of it by one.

A mechanism that hashes shows the data itself: a TLS handshake is known by its structure (``handshake``). Where the
program hashes, a digest is all that is seen, and nobody can tell what of.

Sources: RFC 8017, section 9.2, note 1 (DigestInfo).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum

from cardd.driver import Card
from cardd.model import Algorithm, KeyPurpose, KeyRef
from cardd.p11.cryptoki import Mechanism, MechanismFlag, Refused, Rv
from cardd.p11.handshake import handshake_in
from cardd.p11.objects import TokenObject
from cardd.values import Value, replace

EC = MechanismFlag.EC_F_P | MechanismFlag.EC_NAMEDCURVE | MechanismFlag.EC_UNCOMPRESS
SIGNS = MechanismFlag.SIGN | MechanismFlag.HW
SHA256 = "sha256"
# what stands before a digest, by its hash
PREFIXES = {
    "sha1": bytes.fromhex("3021300906052B0E03021A05000414"),
    SHA256: bytes.fromhex("3031300D060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300D060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300D060960864801650304020305000440"),
}
SIZES = {name: hashlib.new(name, usedforsecurity=False).digest_size for name in PREFIXES}
HANDSHAKE_MAX = 16 * 1024  # bytes of a whole handshake; more than that is taken for data
# by what a mechanism's parameters say: the hash, MGF1 with it, and salt as long as it
PSS: dict[tuple[int, ...], str] = {
    (Mechanism.SHA256, 2, 32): SHA256,
    (Mechanism.SHA384, 3, 48): "sha384",
    (Mechanism.SHA512, 4, 64): "sha512",
}


class Signing(Value):
    """A mechanism that signs: what the key must be able to do, and the hash that it makes of what it is given.

    ``given`` is that of the digest which a mechanism that makes none is handed.
    """

    mechanism: Mechanism
    algorithm: Algorithm
    hash: str | None = None
    flags: MechanismFlag = SIGNS
    given: str = SHA256

    def is_of(self, key: KeyRef) -> bool:
        """Return whether the key has it."""
        is_sha256 = self.hash in (None, SHA256) and self.given == SHA256
        return self.algorithm in key.algorithms and (is_sha256 or key.signs_any_hash)


# in the order in which they are listed: some programs try the first one
SIGNING = {
    each.mechanism: each
    for each in (
        Signing(Mechanism.SHA256_RSA_PKCS, Algorithm.RS256, SHA256),
        Signing(Mechanism.SHA384_RSA_PKCS, Algorithm.RS256, "sha384"),
        Signing(Mechanism.SHA512_RSA_PKCS, Algorithm.RS256, "sha512"),
        Signing(Mechanism.RSA_PKCS, Algorithm.RS256),
        Signing(Mechanism.SHA256_RSA_PKCS_PSS, Algorithm.PS256, SHA256),
        Signing(Mechanism.SHA384_RSA_PKCS_PSS, Algorithm.PS256, "sha384"),
        Signing(Mechanism.SHA512_RSA_PKCS_PSS, Algorithm.PS256, "sha512"),
        Signing(Mechanism.RSA_PKCS_PSS, Algorithm.PS256),
        Signing(Mechanism.ECDSA_SHA256, Algorithm.ES256, SHA256, SIGNS | EC),
        Signing(Mechanism.ECDSA, Algorithm.ES256, None, SIGNS | EC),
    )
}


class MechanismInfo(Value):
    """What C_GetMechanismInfo tells: the sizes of keys, in bits, and the flags."""

    least: int
    most: int
    flags: int


def mechanisms_of(objects: Iterable[TokenObject]) -> dict[int, MechanismInfo]:
    """Return what a token's keys can do, in order."""
    keys = [(found.key, found.public.bits) for found in objects if found.key and found.public]
    told: dict[int, MechanismInfo] = {}
    for number, signing in SIGNING.items():
        sizes = [bits for key, bits in keys if signing.is_of(key)]
        if sizes:
            decrypts = number is Mechanism.RSA_PKCS and any(key.decrypts for key, _ in keys)
            flags = signing.flags | (MechanismFlag.DECRYPT if decrypts else 0)
            told[number] = MechanismInfo(min(sizes), max(sizes), flags)
    return told


def signing_by(number: int, parameters: Sequence[int], key: KeyRef) -> Signing:
    """Return how this key signs by a mechanism. Raises Refused."""
    signing = SIGNING.get(Mechanism(number)) if number in SIGNING else None
    if signing is None:
        raise Refused(Rv.MECHANISM_INVALID)
    if not signing.is_of(key):
        raise Refused(Rv.KEY_TYPE_INCONSISTENT)
    if signing.algorithm is not Algorithm.PS256:
        return signing
    kind = PSS.get(tuple(parameters))
    if kind is None or signing.hash not in (None, kind) or not replace(signing, given=kind).is_of(key):
        raise Refused(Rv.MECHANISM_PARAM_INVALID)
    return replace(signing, given=kind)


def ensure_decrypting(number: int, key: KeyRef) -> None:
    """Raises Refused for a mechanism or a key that does not decrypt."""
    if number != Mechanism.RSA_PKCS:
        raise Refused(Rv.MECHANISM_INVALID)
    if not key.decrypts:
        raise Refused(Rv.KEY_FUNCTION_NOT_PERMITTED)


# --- what is to be signed


class Seen(StrEnum):
    """What can be seen of it: a TLS handshake, a digest of nobody knows what, or data that are no handshake."""

    HANDSHAKE = "handshake"
    DIGEST = "digest"
    DATA = "data"


class ToSign(Value):
    """What a program asks for: the digest that the key signs, what is seen of its content, and the server's name."""

    mechanism: Mechanism
    algorithm: Algorithm
    hash: str
    digest: bytes
    seen: Seen
    server: str | None = None

    def authenticated(self, card: Card, key: KeyRef) -> bytes:
        """Sign with an authentication key; on the card's thread."""
        if self.hash == SHA256:
            return card.authenticate(key, self.algorithm, self.digest)
        if self.algorithm is Algorithm.PS256:
            return card.authenticate_pss(key, self.hash, self.digest)
        return card.authenticate_info(key, PREFIXES[self.hash] + self.digest)


class Parts:
    """Data that come in parts: hashed, and kept as long as they are few enough to be a handshake."""

    def __init__(self, name: str) -> None:
        self._hash = hashlib.new(name)
        self._kept: bytearray | None = bytearray()

    def add(self, part: bytes) -> None:
        """Take one more part."""
        self._hash.update(part)
        if self._kept is not None:
            self._kept += part
            if len(self._kept) > HANDSHAKE_MAX:
                self._kept = None

    def told(self) -> tuple[bytes, str | None]:
        """Return the digest, and what ``handshake_in`` says."""
        return self._hash.digest(), None if self._kept is None else handshake_in(bytes(self._kept))


def to_sign(signing: Signing, data: bytes | Parts, key: KeyRef) -> ToSign:
    """Return what these data ask for. Raises Refused for what this key does not sign."""
    if signing.hash is not None:
        if not isinstance(data, Parts):
            whole, data = data, Parts(signing.hash)
            data.add(whole)
        digest, server = data.told()
        seen = Seen.DATA if server is None else Seen.HANDSHAKE
        return ToSign(signing.mechanism, signing.algorithm, signing.hash, digest, seen, server or None)
    if isinstance(data, Parts):
        raise Refused(Rv.FUNCTION_NOT_SUPPORTED)
    if signing.algorithm is not Algorithm.RS256:
        if len(data) != SIZES[signing.given]:
            raise Refused(Rv.DATA_LEN_RANGE)
        return ToSign(signing.mechanism, signing.algorithm, signing.given, data, Seen.DIGEST)
    kind = next((name for name, prefix in PREFIXES.items() if data.startswith(prefix)), None)
    if kind is None or len(data) != len(PREFIXES[kind]) + SIZES[kind]:
        raise Refused(Rv.DATA_INVALID)
    if kind != SHA256 and (key.purpose is not KeyPurpose.AUTHENTICATION or not key.signs_any_hash):
        raise Refused(Rv.DATA_INVALID)
    # nobody needs SHA-1 to log in: a collision could make it another's handshake
    seen = Seen.DATA if kind == "sha1" else Seen.DIGEST
    return ToSign(signing.mechanism, signing.algorithm, kind, data[len(PREFIXES[kind]) :], seen)
