"""The organisation's authentication key, for the service's own connections: nobody is asked for its password."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cardd.core.card_access import HolderVerification
from cardd.core.readers import InsertedCard
from cardd.core.sessions import Credential
from cardd.driver import Card
from cardd.errors import CardIncomplete, PscIncomplete
from cardd.identity.cpx import serial_of
from cardd.identity.csa_login import CsaLogin
from cardd.model import Algorithm, KeyPurpose

T = TypeVar("T")

NOBODY = "service"  # in the place of a session


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The certificate, and the key behind it, whose password the keyring or systemd has (entry ``csa``)."""

    csa: CsaLogin
    card: InsertedCard
    credential: Credential

    async def ask(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a SHA-256 digest of ours. Raises PscIncomplete without a password, and the errors of the card."""
        key = self.credential.key
        return await _use(
            self.csa, self.card, lambda opened: opened.authenticate(key, algorithm, digest), accepted=True
        )


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs assertions with it (``AssertionSigner``); ``header`` is what the provider finds the key by."""

    key: ServiceKey
    header: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """What the key does best."""
        return self.key.credential.key.algorithms[0].value

    async def sign(self, message: bytes) -> bytes:
        """The signature in JWS form."""
        return await self.key.ask(Algorithm(self.algorithm), hashlib.sha256(message).digest())


async def service_key(csa: CsaLogin) -> ServiceKey:
    """The key as it is here now.

    Raises MethodUnavailable where no organisation's certificate is, PscIncomplete without its password,
    CardIncomplete without an authentication key.
    """
    card = await csa.card()
    return ServiceKey(csa, card, await _use(csa, card, _credential))


async def _use(csa: CsaLogin, card: InsertedCard, work: Callable[[Card], T], *, accepted: bool = False) -> T:
    password = await csa.password.get()
    if password is None:
        raise PscIncomplete(what="csa", why="absent")
    with password:
        return await card.access.use(work, HolderVerification(NOBODY, password, accepted=accepted))


def _credential(card: Card) -> Credential:
    by_key = {found.key_id: found.der for found in card.certificates()}
    key = card.info.key(KeyPurpose.AUTHENTICATION)
    if key is None or key.id not in by_key:
        raise CardIncomplete(what="certificate")
    return Credential(key, by_key[key.id], serial_of(by_key[key.id]))
