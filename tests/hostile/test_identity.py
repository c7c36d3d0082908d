"""A card that is suddenly another one gets no PIN of the first's holder, and signs nothing in that holder's name."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cardd.core.consents import SignatureRequest
from cardd.core.sessions import Session
from cardd.errors import CardRemoved, SignatureInvalid
from cardd.model import Message, Outcome
from cardd_drivers.cps3.verifier import Verifier
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, Core
from tests.rig.simulator import PIN, simulated_card

REQUEST = SignatureRequest(None, Message(hashlib.sha256(b"SIMULATION").digest()), "ordonnance.pdf")


class TwoFacedCard(SimulatedCard):
    """One holder's card until ``turned``, another's from then on: swapped faster than a sensor looks, or lying."""

    def __init__(self, first: SimulatedCard, second: SimulatedCard) -> None:
        super().__init__(first.issued)
        self._faces = (first, second)
        self.turned = False

    def power_on(self) -> bytes:
        for face in self._faces:
            face.power_on()
        return self.atr

    def process(self, apdu: bytes) -> bytes:
        return self._faces[self.turned].process(apdu)


class Table:
    """Two holders' cards that look like one, and the core that has it; a PIN sent to the wrong one costs it a try."""

    def __init__(self, *, hold_pin: bool, second_pin: bytes) -> None:
        self.first, self.second = simulated_card("medecin"), simulated_card("infirmier", pin=second_pin)
        self.card = TwoFacedCard(self.first, self.second)
        self.core = Core(InProcessReader("Lecteur de test", self.card), self.card, hold=0, hold_pin=hold_pin)
        self.core.person.pins = [PIN.decode()] * 9

    async def log_in(self) -> Session:
        return (await self.core.login.open(CALLER, None))[0]

    def turn(self, *, told: bool) -> None:
        """The card becomes the other; ``told``: as PC/SC tells it, by a reset that was not ours."""
        self.card.turned = True
        if told:
            self.core.reader.reset_by_another_program()


@asynccontextmanager
async def table(*, hold_pin: bool = True, second_pin: bytes = b"8642") -> AsyncIterator[Table]:
    laid = Table(hold_pin=hold_pin, second_pin=second_pin)
    await laid.core.start()
    try:
        yield laid
    finally:
        await laid.core.stop()


def tries_left(card: SimulatedCard) -> int:
    """As the card tells it."""
    card.power_on()
    return int.from_bytes(card.process(bytes.fromhex("0020000100"))) & 0x0F


@pytest.mark.parametrize("hold_pin", [True, False], ids=["PIN held", "PIN asked"])
async def test_the_other_card_signs_nothing_for_the_session_and_is_sent_no_pin(hold_pin: bool) -> None:
    async with table(hold_pin=hold_pin) as laid:
        session = await laid.log_in()
        laid.turn(told=True)
        for attempt in range(2):
            with pytest.raises(CardRemoved):
                await laid.core.signing.sign(session, [REQUEST], None)
            assert laid.core.audit.entries[-1].outcome is Outcome.FAILED
            with pytest.raises(CardRemoved):
                await laid.core.signing.authenticate(session, f"nonce {attempt}")
        assert tries_left(laid.second) == 3
        assert laid.second.count < 200


async def test_without_a_reset_the_other_cards_signature_is_thrown_away() -> None:
    async with table(second_pin=PIN) as laid:
        session = await laid.log_in()
        laid.turn(told=False)
        with pytest.raises(SignatureInvalid):
            await laid.core.signing.sign(session, [REQUEST], None)


async def test_the_same_card_serves_again_after_another_programs_reset() -> None:
    async with table() as laid:
        session = await laid.log_in()
        laid.core.reader.reset_by_another_program()
        [signed] = await laid.core.signing.sign(session, [REQUEST], None)
        assert Verifier(signed.certificate).accepts(signed.signature, REQUEST.message.digest, signed.algorithm)
