"""The simulated card as the judge sees it: each value that it gave, each wrong PIN, and what happens at one command."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding

from cardd.formats.certificate import serial_of
from cardd_simulators.cards.card import PIN_REFERENCE, SimulatedCard
from tests.rig.simulator import PUK, issue
from tests.rig.softhsm import PIN

VERIFY, MSE, PSO, AUTHENTICATE, FETCH, SELECT, READ = 0x20, 0x22, 0x2A, 0x88, 0xC0, 0xA4, 0xB0
DONE, WRONG, MORE = b"\x90\x00", 0x63, 0x61
BODY = 5

Go = Callable[[], bytes]  # what the card itself answers


@dataclass
class Meeting:
    """What is to happen at the next command of a kind; ``was`` is set once it has."""

    at: Callable[[bytes], bool]
    happens: Callable[[Go], bytes]
    was: threading.Event = field(default_factory=threading.Event)


class WatchedCard(SimulatedCard):
    """A CPS3. ``given`` is what it was asked to sign, for each signature that it gave whole; ``wrong`` counts PINs."""

    def __init__(self, profile: str = "medecin") -> None:
        super().__init__(issue(profile, len(PIN)), pin=PIN.encode(), puk=PUK)
        self.given: list[bytes] = []
        self.wrong = 0
        self._asked: bytes | None = None
        self._meeting: Meeting | None = None

    @property
    def tries_left(self) -> int:
        """Return what the PIN's counter says."""
        return self._pins[PIN_REFERENCE].left

    @property
    def serials(self) -> set[str]:
        """Return its certificates' numbers, as the audit log has them."""
        both = (self.issued.signature, self.issued.authentication)
        return {serial_of(one.certificate.public_bytes(Encoding.DER)) for one in both}

    def meet(self, at: Callable[[bytes], bool], happens: Callable[[Go], bytes]) -> Meeting:
        """Let something happen at the next command that is so; what it returns is the card's answer."""
        self._meeting = meeting = Meeting(at, happens)
        return meeting

    def process(self, apdu: bytes) -> bytes:
        """Take one command."""
        meeting = self._meeting
        if meeting and meeting.at(apdu):
            self._meeting = None
            answer = meeting.happens(lambda: super(WatchedCard, self).process(apdu))
            meeting.was.set()
        else:
            answer = super().process(apdu)
        self._count(apdu, answer)
        return answer

    def _count(self, apdu: bytes, answer: bytes) -> None:
        if is_value(apdu):
            self._asked = apdu[BODY:]
        elif apdu[1] != FETCH:
            self._asked = None
        if self._asked is not None and answer[-2:] == DONE and len(answer) > len(DONE):
            self.given.append(self._asked)
            self._asked = None
        self.wrong += is_pin(apdu) and answer[:1] == bytes((WRONG,))


def is_value(apdu: bytes) -> bool:
    """Return whether a signature is asked for, of either key."""
    return apdu[1] == AUTHENTICATE or apdu[1:3] == bytes((PSO, 0x9E))


def is_pin(apdu: bytes) -> bool:
    """Return whether a PIN is presented."""
    return apdu[1] == VERIFY and len(apdu) > BODY


def asks_for_tries(apdu: bytes) -> bool:
    """Return whether this is a VERIFY without a PIN."""
    return apdu[1] == VERIFY and not is_pin(apdu)


def of(kind: int, nth: int = 1) -> Callable[[bytes], bool]:
    """Return what is true of the N-th command of this kind from now on; of VERIFY, of those with a PIN."""
    left = [nth]

    def is_it(apdu: bytes) -> bool:
        if apdu[1] != kind or (kind == VERIFY and not is_pin(apdu)) or (kind == PSO and not is_value(apdu)):
            return False
        left[0] -= 1
        return left[0] == 0

    return is_it
