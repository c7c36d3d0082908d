"""A channel straight to a card object, counting every APDU as a reader under T=0 would carry it."""

from __future__ import annotations

from collections.abc import Callable

from cardd.apdu import Command, Response, Transport
from cardd.apdu import Protocol as CardProtocol
from cardd.model import PinInfo
from cardd.secret import Secret
from cardd.values import replace

CPS3_ATR = bytes.fromhex("3BAC00402A001225006480000310009000")


class CountingChannel:
    """Implements cardd.driver.Channel. ``sent`` has every APDU, GET RESPONSE included; ``keypad`` is the PIN typed,
    ``process`` the card.
    """

    has_pinpad = True

    def __init__(
        self,
        process: Callable[[bytes], bytes],
        *,
        atr: bytes = CPS3_ATR,
        protocol: CardProtocol = CardProtocol.T0,
        extended: bool = False,
        on_reset: Callable[[], object] = lambda: None,
    ) -> None:
        self.atr = atr
        self.protocol = protocol
        self.epoch = 1
        self.sent: list[bytes] = []
        self.keypad = b"1234"
        self.process = process
        self._on_reset = on_reset
        self._transport = Transport(self._exchange, protocol, extended=extended)

    def _exchange(self, raw: bytes) -> bytes:
        self.sent.append(raw)
        return self.process(raw)

    def reset(self) -> None:
        """What the end of a transaction does."""
        self._on_reset()
        self.epoch += 1

    def count(self) -> int:
        """APDUs since the last call."""
        number = len(self.sent)
        self.sent.clear()
        return number

    def transmit(self, command: Command) -> Response:
        """One command."""
        return self._transport.send(command)

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        """One command with the secret as its body."""
        with secret.view() as view:
            return self._transport.send(replace(command, data=bytes(view)))

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """What was typed on the keypad."""
        return self._transport.send(replace(command, data=self.keypad))
