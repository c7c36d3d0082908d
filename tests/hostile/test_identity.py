"""A card that is suddenly another one gets no PIN of the first's holder, and signs nothing in that holder's name."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cardd.core.consents import SignatureRequest
from cardd.core.session import Session
from cardd.errors import CardMute, CardRemoved, SessionClosed, SignatureInvalid
from cardd.model import Message, Outcome
from cardd_drivers.cps3.keys import Verifier
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, Core
from tests.rig.simulator import PIN, simulated_card
from tests.rig.waiting import eventually

REQUEST = SignatureRequest(None, Message(hashlib.sha256(b"SIMULATION").digest()), "ordonnance.pdf")

HOLD = 0.4


class TwoFacedCard(SimulatedCard):
    """One holder's card until ``turned``, another's from then on: lying, or swapped faster than a sensor looks.

    A card that was just put in has no power until its reader resets it.
    """

    def __init__(self, first: SimulatedCard, second: SimulatedCard) -> None:
        super().__init__(first.issued)
        self._faces = (first, second)
        self.turned = False

    def power_on(self) -> bytes:
        for face in self._faces:
            face.power_on()
        self.resets += 1
        return self.atr

    def reset(self) -> bytes:
        return self.power_on()

    def swap(self) -> None:
        self._faces[True].power_off()
        self.turned = True

    def process(self, apdu: bytes) -> bytes:
        return self._faces[self.turned].process(apdu)


class Table:
    """Two holders' cards that look like one, and the core that has it; a PIN sent to the wrong one costs it a try."""

    def __init__(self, *, hold_pin: bool, second_pin: bytes, hold: float) -> None:
        self.first, self.second = simulated_card("medecin"), simulated_card("infirmier", pin=second_pin)
        self.card = TwoFacedCard(self.first, self.second)
        self.core = Core(InProcessReader("Lecteur de test", self.card), self.card, hold=hold, hold_pin=hold_pin)
        self.core.person.pins = [PIN.decode()] * 9

    async def log_in(self) -> Session:
        return (await self.core.login.open(CALLER, None))[0]

    def turn(self, *, told: bool) -> None:
        """The card becomes the other; ``told``: as PC/SC tells it, by a reset that was not ours."""
        self.card.turned = True
        if told:
            self.core.reader.reset_by_another_program()


@asynccontextmanager
async def table(*, hold_pin: bool = True, second_pin: bytes = b"8642", hold: float = 0) -> AsyncIterator[Table]:
    laid = Table(hold_pin=hold_pin, second_pin=second_pin, hold=hold)
    await laid.core.start()
    try:
        yield laid
    finally:
        await laid.core.stop()


def tries_left(card: SimulatedCard) -> int:
    """Return the tries left, as the card tells them."""
    card.power_on()
    return int.from_bytes(card.process(bytes.fromhex("0020000100"))) & 0x0F


@pytest.mark.parametrize("hold_pin", [True, False], ids=["PIN held", "PIN asked"])
async def test_the_other_card_signs_nothing_for_the_session_and_is_sent_no_pin(hold_pin: bool) -> None:
    async with table(hold_pin=hold_pin) as laid:
        session = await laid.log_in()
        laid.turn(told=True)
        with pytest.raises(CardRemoved):
            await laid.core.signing.sign(session, [REQUEST], None)
        assert laid.core.audit.entries[-1].outcome is Outcome.FAILED
        with pytest.raises(SessionClosed):
            await laid.core.signing.authenticate(session, "nonce")
        assert tries_left(laid.second) == 3
        assert laid.second.count < 200


@pytest.mark.parametrize("hold_pin", [True, False], ids=["PIN held", "PIN asked"])
@pytest.mark.parametrize("hold", [0.0, HOLD], ids=["idle", "in the idle hold"])
async def test_a_card_swapped_unseen_is_sent_no_pin_and_the_sessions_of_the_first_are_over(
    hold: float, hold_pin: bool
) -> None:
    async with table(hold_pin=hold_pin, hold=hold) as laid:
        session = await laid.log_in()
        before = laid.core.readers.choose(None).id
        await laid.core.signing.sign(session, [REQUEST], None)
        if hold:
            resets = laid.card.resets
            await asyncio.sleep(hold / 2)
            laid.card.swap()
            await eventually(lambda: laid.card.resets > resets)
        else:
            await laid.core.readers.choose(None).access.use(lambda _: None)  # in line behind the release
            laid.card.swap()
        for _ in range(3):
            with contextlib.suppress(CardMute, CardRemoved, SessionClosed):
                await laid.core.signing.sign(session, [REQUEST], None)
        assert tries_left(laid.second) == 3
        assert not laid.core.sessions.is_open(session)
        assert laid.core.readers.choose(None).id != before


async def test_a_pin_typed_for_a_card_that_was_swapped_meanwhile_reaches_no_other_card() -> None:
    async with table() as laid:
        laid.core.person.attentive.clear()
        login = asyncio.ensure_future(laid.log_in())
        await laid.core.person.is_asked.wait()
        laid.card.swap()
        laid.core.person.attentive.set()
        with pytest.raises((CardMute, CardRemoved)):
            await login
        assert tries_left(laid.second) == 3


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
