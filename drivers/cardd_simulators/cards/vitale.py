"""A simulated carte Vitale, as far as it may be: a patient's card has its answer to reset, and nothing is known beyond.

Source: the card facts (pcsc-tools' list).
"""

from __future__ import annotations

from typing import ClassVar

from cardd.apdu import SW, Protocol

SELECT = 0xA4


class SimulatedVitale:
    """Finds no application and knows no other command."""

    atr: ClassVar[bytes] = bytes.fromhex("3B751300004309EA9000")
    protocol: ClassVar[Protocol] = Protocol.T0
    title: ClassVar[str] = "Vitale"

    def __init__(self) -> None:
        self.count = 0
        self._powered = False

    def power_on(self) -> bytes:
        """Reset the card cold, and return its ATR."""
        self._powered = True
        return self.atr

    def power_off(self) -> None:
        """Take the power away: the card says nothing any more."""
        self._powered = False

    def reset(self) -> bytes:
        """Reset the card warm, and return its ATR."""
        return self.power_on()

    def process(self, apdu: bytes) -> bytes:
        """6A82 for SELECT, 6D00 for everything else; ``count`` is the number of APDUs that came."""
        if not self._powered:
            return b""
        self.count += 1
        sw = SW.FILE_NOT_FOUND if apdu[1:2] == bytes((SELECT,)) else SW.INS_UNKNOWN
        return sw.to_bytes(2, "big")
