"""What a reader needs of a simulated card, whatever kind it is."""

from __future__ import annotations

from typing import Protocol

from cardd.apdu import Protocol as CardProtocol


class PoweredCard(Protocol):
    """Power and bytes. Only one thread may use a card at a time."""

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        ...

    @property
    def protocol(self) -> CardProtocol:
        """T=0 or T=1, as the answer to reset has it."""
        ...

    @property
    def title(self) -> str:
        """Which card it is, in a few words for its user."""
        ...

    def power_on(self) -> bytes:
        """A cold reset; gives the ATR."""
        ...

    def power_off(self) -> None:
        """Logins, selection and environment are lost; tries and data are not."""
        ...

    def reset(self) -> bytes:
        """A warm reset; gives the ATR."""
        ...

    def process(self, apdu: bytes) -> bytes:
        """One command APDU; whatever the bytes, the answer has a status word, or is empty without power."""
        ...
