"""``cardd.ports.Connection`` to a simulated card of this process."""

from __future__ import annotations

from collections.abc import Callable

from cardd.apdu import SHORT_MAX, Command, Protocol, Response, Transport
from cardd.driver import Card, Channel
from cardd.errors import CardRemoved
from cardd.model import PinInfo
from cardd.secret import Secret
from cardd_simulators.cards.powered import PoweredCard
from cardd_simulators.cards.slot import Slot


class InProcessConnection:
    """Used by one thread, the reader's; see the contract for each method.

    ``transmitted`` counts the APDUs that went to the card, GET RESPONSE included.
    """

    has_pinpad = False

    def __init__(self, slot: Slot, opener: Callable[[Channel], Card]) -> None:
        self._slot = slot
        self._opener = opener
        self._card: PoweredCard | None = None
        self._insertion = 0
        self._in_transaction = False
        self._seen: tuple[int, int] | None = None
        self.epoch = 0
        self.resets = 0
        self.transmitted = 0

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._connected().atr

    @property
    def protocol(self) -> Protocol:
        """T=0 or T=1."""
        return self._connected().protocol

    def open(self) -> Card:
        """Open the card with its driver."""
        return self._opener(self)

    def begin(self) -> None:
        """Begin a transaction; ``resets`` grows when the card was reset or moved since the last."""
        self._card, self._insertion = self._slot.begin()
        now = (self._insertion, self._slot.foreign_resets)
        self.resets += self._seen is not None and self._seen != now
        self._seen = now
        self._in_transaction = True
        self.epoch += 1

    def end(self, *, reset: bool) -> None:
        """End the transaction, with a reset when asked."""
        if not self._in_transaction:
            return
        self._in_transaction = False
        self._slot.end(reset=reset)
        self.epoch += 1

    def disconnect(self) -> None:
        """Give up the card; a transaction still open ends with a reset."""
        self.end(reset=True)
        self._card = None

    def transmit(self, command: Command) -> Response:
        """Send one command and gather its whole answer."""
        return Transport(self._exchange, self.protocol).send(command)

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        """Send one short command whose body is the secret. The simulated card's own PIN is no secret to protect."""
        if not 0 < len(secret) <= SHORT_MAX:
            raise ValueError("a secret of one short APDU is meant")
        with secret.view() as view:
            apdu = bytearray((*command.header, len(view), *view))
        try:
            return Response.decode(self._exchange(bytes(apdu)))
        finally:
            apdu[:] = bytes(len(apdu))

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """These readers have no keypad."""
        raise ValueError(f"no keypad here to ask for PIN {pin.reference} with {command.header.hex()}")

    def _connected(self) -> PoweredCard:
        if self._card is None:
            raise CardRemoved(reader=self._slot.name)
        return self._card

    def _exchange(self, apdu: bytes) -> bytes:
        self._connected()
        self.transmitted += 1
        return self._slot.exchange(apdu, self._insertion)
