"""Talks to a simulated card in hex, as the traces in the facts are written."""

from __future__ import annotations

from cardd_simulators.cards.card import SimulatedCard
from tests.rig.simulator import PIN

DIGEST_INFO_SHA256 = "3031300D060960864801650304020105000420"


class Terminal:
    """Powers the card on. Calling it sends one APDU, spaces allowed, and gives the answer as upper-case hex."""

    def __init__(self, card: SimulatedCard) -> None:
        self.card = card
        card.power_on()

    def __call__(self, apdu: str) -> str:
        return self.card.process(bytes.fromhex(apdu)).hex().upper()

    def all(self, *apdus: str) -> list[str]:
        """Several, one after the other."""
        return [self(apdu) for apdu in apdus]

    def read(self, apdu: str) -> bytes:
        """The data of an answer that must be there."""
        answer = self.card.process(bytes.fromhex(apdu))
        assert answer[-2:] == b"\x90\x00", answer[-2:].hex()
        return answer[:-2]

    def login(self, pin: bytes = PIN) -> str:
        """VERIFY the holder's PIN."""
        return self(f"0020000104{pin.hex()}")
