"""The codes of a CPS4, which takes the new PIN alone once the old one or the PUK was presented.

Source: the emulation facts, section 5.
"""

from __future__ import annotations

from cardd.apdu import Command, Response
from cardd.secret import Secret
from cardd_drivers.cps3.pins import CardPins

CURRENT = 0x80  # with a reference: of the current application


class Cps4Pins(CardPins):
    """Changes and unblocks as a CPS4 wants it."""

    def _replace(self, old: Secret, new: Secret) -> tuple[Command, Response]:  # noqa: ARG002 - the hook's signature
        command = Command(0x00, 0x24, 0x01, self.pin.reference)
        return command, self._channel.transmit_secret(command, new)

    def _set_new(self, new: Secret) -> tuple[Command, Response]:
        unblock = Command(0x00, 0x2C, 0x03, self.pin.reference | CURRENT)
        response = self._channel.transmit(unblock)
        return self._replace(new, new) if response.ok else (unblock, response)
