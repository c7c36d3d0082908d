"""One card or token alone in its reader, with its person, and what tells the other parts of its PIN."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cardd.core.card_access import CardAccess
from cardd.core.inserted_card import InsertedCard
from cardd.core.leases import Leases
from cardd.core.lifecycle import Part
from cardd.core.pin import PinEntry, PinLife
from cardd.core.pin_guard import PinGuard
from cardd.driver import Card
from cardd.errors import AlgorithmUnsupported, CarddError, PinRequired, ReaderNotYours
from cardd.model import (
    Algorithm,
    CallerKey,
    CardCertificate,
    CardInfo,
    CardKind,
    KeyPurpose,
    KeyRef,
    Message,
    PinInfo,
    PinStatus,
)
from cardd.ports import CardConnection
from cardd.secret import Secret
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.opening import Opening
from tests.core.test_card_access import opener

T = TypeVar("T")

KEY = KeyRef("01", "Signature SIMULATION", KeyPurpose.SIGNATURE, 1, (Algorithm.RS256,), 1)
PASSWORD, OFFICER = PinInfo(1, "PIN SIMULATION", 4, 8, 3), PinInfo(2, "PUK SIMULATION", 8, 8, 3)


class Token(Card):
    """A token that tells no tries unless ``tries`` and ``puk_tries`` say so, and signs some times for each PIN.

    ``refusals`` are raised by the next codes; ``presented`` is what came to the token, in order.
    """

    def __init__(
        self,
        *refusals: CarddError,
        pin: PinInfo | None = PASSWORD,
        signatures_a_pin: int = 99,
    ) -> None:
        self.refusals = list(refusals)
        self.tries: int | None = None
        self.puk_tries: int | None = None
        self.presented: list[str] = []
        self._pin = pin
        self._each = signatures_a_pin
        self._left = 0

    @property
    def info(self) -> CardInfo:
        return CardInfo(CardKind.PKCS11, "test", "", "Jeton SIMULATION", (KEY,), self._pin, OFFICER)

    def certificates(self) -> tuple[CardCertificate, ...]:
        return ()

    def pin_status(self) -> PinStatus:
        return PinStatus(self.tries)

    def puk_status(self) -> PinStatus:
        return PinStatus(self.puk_tries)

    def verify(self, pin: Secret | None) -> None:
        self._present("pin" if pin is not None else "pin at the keypad")
        self._left = self._each

    def change_pin(self, old: Secret | None, new: Secret | None) -> None:
        self._present("new pin" if old and new else "new pin at the keypad" if old is new else "one of two")

    def unblock_pin(self, puk: Secret, new: Secret) -> None:
        self._present("puk" if puk and new else "nothing")

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        if key is not KEY:
            raise AlgorithmUnsupported(algorithm=algorithm.value)
        if not self._left:
            raise PinRequired
        self._left -= 1
        return b"signature"

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        return self.sign(key, algorithm, Message(digest))

    def _present(self, what: str) -> None:
        self.presented.append(what)
        if self.refusals:
            raise self.refusals.pop(0)


def signed(times: int) -> Callable[[Card], list[bytes]]:
    """Return work that signs so often."""
    return lambda card: [card.sign(KEY, Algorithm.RS256, Message(bytes(32))) for _ in range(times)]


class TimedReader(InProcessReader):
    """A reader, with a ``keypad`` or none, that notes how long each job may take."""

    def __init__(self, card: SimulatedCard, opened: Card | None, *, keypad: bool) -> None:
        super().__init__("Lecteur de test", card, (lambda _: opened) if opened else opener())
        self._keypad = keypad
        self.timeouts: list[float] = []

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        self.timeouts.append(timeout)

        def at_keypad(connection: CardConnection) -> T:
            connection.has_pinpad = self._keypad  # type: ignore[misc] # this one's may be set
            return job(connection)

        return await super().run(at_keypad, timeout=timeout)


class PinsHeard(Part):
    """What the other parts hear of PINs, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def pin_refused(self, card: InsertedCard, caller: CallerKey, tries_left: int) -> None:
        self.told.append(("refused", card.id, caller, tries_left))

    def pin_changed(self, card: InsertedCard) -> None:
        self.told.append(("changed", card.id))


class AtCard(Opening):
    """The card, or the token ``opened`` in its place; ``refused`` may present no code to it."""

    def __init__(self, card: SimulatedCard, opened: Card | None = None, *, keypad: bool = False) -> None:
        super().__init__()
        self.reader = TimedReader(card, opened, keypad=keypad)
        self.refused: set[CallerKey] = set()
        self.access = CardAccess(self.reader, PinGuard(self.clock), hold=30.0, timeout=5.0, admit=self._admit)
        self.inserted = InsertedCard("card-1", self.reader.name, card.atr, CardKind.CPS3, self.access)
        self.pins_heard = PinsHeard()
        self.lifecycle.join(self.pins_heard)
        self.pins = PinEntry(self.dialogs, self.lifecycle)
        self.life = PinLife(self.dialogs, self.pins, Leases(self.sessions, ("card",)), self.audit, self.lifecycle)

    def _admit(self, caller: CallerKey) -> None:
        if caller in self.refused:
            raise ReaderNotYours

    async def close(self) -> None:
        await self.access.close()
        await self.reader.close()
