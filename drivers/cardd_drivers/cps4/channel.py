"""Logical channel 1 of a CPS4, which holds everything that a CPx is used for.

No MANAGE CHANNEL is sent: selecting the card's root by its name, in class 01, opens the channel, and a reset closes
it. A card that refuses (6985) is led there by three selections. Source: the card facts, section "CPS4"; the emulation
facts, section 5.
"""

from __future__ import annotations

from cardd.apdu import SW, Command, Protocol, Response
from cardd.driver import Channel
from cardd.model import PinInfo
from cardd.secret import Secret
from cardd.values import replace
from cardd_drivers.pkcs15.files import refused

NUMBER = 0x01


def _select(cla: int, name: str) -> Command:
    return Command(cla, 0xA4, 0x04, 0x0C, bytes.fromhex(name))


STRAIGHT = (_select(NUMBER, "8025000001FF0100"),)
DETOUR = (_select(NUMBER, "A0000001510000"), _select(0x00, "8025000001FF0002"), *STRAIGHT)


class LogicalChannel:
    """``cardd.driver.Channel`` on channel 1: opened by the first command after each reset, one APDU."""

    def __init__(self, basic: Channel) -> None:
        self._basic = basic
        self._selections: tuple[Command, ...] = STRAIGHT
        self._opened: int | None = None

    @property
    def atr(self) -> bytes:
        """Return the card's answer to reset."""
        return self._basic.atr

    @property
    def protocol(self) -> Protocol:
        """T=0 or T=1."""
        return self._basic.protocol

    @property
    def epoch(self) -> int:
        """Return the basic channel's epoch."""
        return self._basic.epoch

    @property
    def has_pinpad(self) -> bool:
        """Return whether the reader takes the PIN on its own keypad."""
        return self._basic.has_pinpad

    def transmit(self, command: Command) -> Response:
        """Send one command on this channel. Raises CardRefused when it cannot be opened."""
        return self._basic.transmit(self._inside(command))

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        """Send one command on this channel, with the secret as its body. Raises as ``transmit`` does."""
        return self._basic.transmit_secret(self._inside(command), secret)

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """Send one command on this channel, with the PIN from the reader's keypad. Raises as ``transmit`` does."""
        return self._basic.verify_on_pinpad(self._inside(command), pin)

    def open(self) -> None:
        """Open the channel, unless it is. Raises CardRefused."""
        if self._opened == self._basic.epoch:
            return
        last = self._select_all(self._selections)
        if last.sw == SW.CONDITIONS and self._selections is STRAIGHT:
            self._selections = DETOUR  # and so at once from now on
            last = self._select_all(self._selections)
        if not last.ok:
            raise refused(STRAIGHT[0], last)
        self._opened = self._basic.epoch

    def _inside(self, command: Command) -> Command:
        self.open()
        return replace(command, cla=command.cla | NUMBER)

    def _select_all(self, selections: tuple[Command, ...]) -> Response:
        """Only the last answer counts: what the cards say to those before is not known."""
        for command in selections[:-1]:
            self._basic.transmit(command)
        return self._basic.transmit(selections[-1])
