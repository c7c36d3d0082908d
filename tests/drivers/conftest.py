"""What the driver tests share: a small card of chosen oddities, in a channel that counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from cardd.driver import Card
from cardd.model import Algorithm, CardKind, KeyPurpose, Message
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from tests.drivers.channel import CountingChannel
from tests.drivers.small_card import SmallCard

DOCUMENT = b"ordonnance SIMULATION"


@dataclass
class Bench:
    """A card opened by the driver, with the few calls that the tests make of it."""

    card: SmallCard
    channel: CountingChannel
    opened: Card

    def next_transaction(self) -> None:
        """End the transaction as the core does, with a reset, and begin another."""
        self.channel.reset()
        self.channel.count()

    def login(self, pin: bytes = b"1234") -> None:
        """VERIFY."""
        with Secret.of(pin) as secret:
            self.opened.verify(secret)

    def sign(self, document: bytes = DOCUMENT, *, with_content: bool = False) -> bytes:
        """One signature with the signature key."""
        key = self.opened.info.key(KeyPurpose.SIGNATURE)
        assert key
        message = Message(hashlib.sha256(document).digest(), document if with_content else None)
        return self.opened.sign(key, Algorithm.RS256, message)

    def authenticate(self, document: bytes = DOCUMENT) -> bytes:
        """One signature with the authentication key."""
        key = self.opened.info.key(KeyPurpose.AUTHENTICATION)
        assert key
        return self.opened.authenticate(key, Algorithm.RS256, hashlib.sha256(document).digest())

    def certificate(self, purpose: KeyPurpose) -> bytes:
        """The DER of this key's certificate."""
        key = self.opened.info.key(purpose)
        assert key
        return next(found.der for found in self.opened.certificates() if found.key_id == key.id)


class Benches:
    """Makes benches."""

    def __call__(self, card: SmallCard | None = None) -> Bench:
        """Open this card and read its certificates, then reset it: the state in which the core keeps cards."""
        card = card or SmallCard()
        channel = CountingChannel(card.process, on_reset=card.reset)
        bench = Bench(card, channel, Cps3Driver().open(channel, CardKind.CPS3))
        bench.opened.certificates()
        bench.next_transaction()
        return bench


@pytest.fixture
def bench() -> Benches:
    """Open a small card."""
    return Benches()
