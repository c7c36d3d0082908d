"""Which mechanisms a key has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cardd.model import Algorithm
from cardd.p11.cryptoki import Mechanism, MechanismFlag
from cardd.p11.objects import PublicKey, TokenObject

EC = MechanismFlag.EC_F_P | MechanismFlag.EC_NAMEDCURVE | MechanismFlag.EC_UNCOMPRESS


@dataclass(frozen=True, slots=True)
class Signing:
    """A mechanism that signs: what the key must be able to do, and the hash (a name of hashlib's) that it makes."""

    algorithm: Algorithm
    hash: str | None = None
    flags: MechanismFlag = MechanismFlag.SIGN | MechanismFlag.HW


# in the order in which they are listed: some programs try the first one
SIGNING = {
    Mechanism.SHA256_RSA_PKCS: Signing(Algorithm.RS256, "sha256"),
    Mechanism.RSA_PKCS: Signing(Algorithm.RS256),
    Mechanism.SHA256_RSA_PKCS_PSS: Signing(Algorithm.PS256, "sha256"),
    Mechanism.RSA_PKCS_PSS: Signing(Algorithm.PS256),
    Mechanism.ECDSA_SHA256: Signing(Algorithm.ES256, "sha256", MechanismFlag.SIGN | MechanismFlag.HW | EC),
    Mechanism.ECDSA: Signing(Algorithm.ES256, None, MechanismFlag.SIGN | MechanismFlag.HW | EC),
}


@dataclass(frozen=True, slots=True)
class MechanismInfo:
    """What C_GetMechanismInfo tells: the sizes of keys, in bits, and the flags."""

    least: int
    most: int
    flags: int


def mechanisms_of(objects: Iterable[TokenObject]) -> dict[int, MechanismInfo]:
    """Return what a token's keys can do, in order."""
    keys = [(found.key, found.public) for found in objects if found.key and found.public]
    told: dict[int, MechanismInfo] = {}
    for number, signing in SIGNING.items():
        able: list[PublicKey] = [public for key, public in keys if signing.algorithm in key.algorithms]
        if able:
            sizes = [public.bits for public in able]
            told[number] = MechanismInfo(min(sizes), max(sizes), signing.flags)
    return told
