"""Readers without PC/SC: simulated cards in this process, behind the same contract (``cardd.ports``).

For machines without pcscd, and for tests. In a test, another program can reset the card, and the card can be pulled out
in the middle of a command.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from cardd.apdu import SHORT_MAX, Command, Protocol, Response, Transport
from cardd.driver import Card, Channel
from cardd.errors import CardMute, CardRemoved, CardTimeout, ReaderGone
from cardd.model import PinInfo
from cardd.ports import CardConnection, ReaderListener
from cardd.secret import Secret
from cardd.worker import Worker
from cardd_simulators.cards.interface import PoweredCard

T = TypeVar("T")

READER = "Lecteur simulé 00 00"
INSTRUCTION = 1  # place of INS in an APDU


class Slot:
    """One slot. ``insertions`` and ``foreign_resets`` only grow: a connection compares them with what it saw."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.insertions = 0
        self.foreign_resets = 0
        self._card: PoweredCard | None = None
        self._in_use = False
        self._reset_waits = False
        self._traps: dict[int, Callable[[], object]] = {}
        self._on_reset: Callable[[], object] | None = None
        self._lock = threading.RLock()

    @property
    def card(self) -> PoweredCard | None:
        """Return the card that is in."""
        return self._card

    @card.setter
    def card(self, card: PoweredCard | None) -> None:
        with self._lock:
            self._card = card
            self.insertions += 1
            if card:
                card.power_on()

    def take(self) -> PoweredCard | None:
        """Pull the card out, if there is one."""
        with self._lock:
            card, self._card = self._card, None
            return card

    def begin(self) -> tuple[PoweredCard, int]:
        """Begin a transaction, in which other programs wait; return the card and which insertion it is.

        Raises CardRemoved.
        """
        with self._lock:
            card = self._present()
            self._in_use = True
            return card, self.insertions

    def end(self, *, reset: bool) -> None:
        """The transaction ends; a reset that another program waits for follows."""
        with self._lock:
            self._in_use = False
            if reset and self._card:
                trap, self._on_reset = self._on_reset, None
                if trap:
                    trap()
                self._card.reset()
            if self._reset_waits:
                self.reset_from_outside()

    def reset_from_outside(self) -> None:
        """Another program's reset: now, or at the end of the transaction."""
        with self._lock:
            self._reset_waits = self._in_use
            if not self._in_use and self._card:
                self._card.reset()
                self.foreign_resets += 1

    def power_off(self) -> None:
        """The reader goes away."""
        with self._lock:
            if self._card:
                self._card.power_off()

    def on_instruction(self, instruction: int, what: Callable[[], object]) -> None:
        """Do something in the middle of the next command with this INS."""
        self._traps[instruction] = what

    def on_reset(self, what: Callable[[], object]) -> None:
        """Do something in the middle of the next reset that ends a transaction."""
        self._on_reset = what

    def exchange(self, apdu: bytes, insertion: int) -> bytes:
        """Send one APDU to the card of this insertion. Raises CardRemoved when the card leaves before it answers."""
        card = self._present()
        if trap := self._traps.pop(apdu[INSTRUCTION], None):
            trap()
        answer = card.process(apdu)
        if self._card is None or self.insertions != insertion:
            raise CardRemoved(reader=self.name)
        if not answer:
            raise CardMute
        return answer

    def _present(self) -> PoweredCard:
        if self._card is None:
            raise CardRemoved(reader=self.name)
        return self._card


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
        """Return the card's answer to reset."""
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


class InProcessReader:
    """``cardd.ports.Reader`` over a slot of this process; ``opener`` opens cards in the listener's stead."""

    def __init__(
        self, name: str, card: PoweredCard | None = None, opener: Callable[[Channel], Card] | None = None
    ) -> None:
        self.name = name
        self._slot = Slot(name)
        self._slot.card = card
        self._connection = InProcessConnection(self._slot, opener or self._open)
        self._worker = Worker(name, lambda timeout: CardTimeout(seconds=round(timeout)))
        self._listener: ReaderListener | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        """Run one blocking job on the reader's thread, as the contract says."""
        if self._closed:
            raise ReaderGone(reader=self.name)
        return await self._worker.run(partial(job, self._connection), timeout=timeout)

    def insert(self, card: PoweredCard) -> None:
        """Put a card in; from any thread."""
        self._slot.card = card
        self._tell_inserted(card)

    def remove(self) -> None:
        """Pull the card out; a command under way ends with CardRemoved. From any thread."""
        if self._slot.take() is not None:
            self._tell_removed()

    def remove_during(self, instruction: int) -> None:
        """Pull the card out in the middle of the next command with this INS."""
        self.do_during(instruction, self.remove)

    def do_during(self, instruction: int, what: Callable[[], object]) -> None:
        """Do something, on the reader's thread, in the middle of the next command with this INS."""
        self._slot.on_instruction(instruction, what)

    def do_during_reset(self, what: Callable[[], object]) -> None:
        """Do something, on the reader's thread, in the middle of the next reset that ends a transaction."""
        self._slot.on_reset(what)

    def reset_by_another_program(self) -> None:
        """Another program resets the card: at once, or, like over PC/SC, when the transaction under way ends."""
        self._slot.reset_from_outside()

    def _open(self, channel: Channel) -> Card:
        if self._listener is None:
            raise ReaderGone(reader=self.name)
        return self._listener.open_card(self.name, channel)

    def open(self, listener: ReaderListener) -> None:
        """Report the reader, and the card that is in it; called on the event loop."""
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        listener.reader_added(self)
        if self._slot.card:
            listener.card_inserted(self.name, self._slot.card.atr)

    async def close(self) -> None:
        """Give up the card and end the thread."""
        self._closed = True
        self._listener = None
        self._slot.power_off()
        await self._worker.close(lambda: None, timeout=1.0)

    def _tell_inserted(self, card: PoweredCard) -> None:
        self._tell(lambda listener: listener.card_inserted(self.name, card.atr))

    def _tell_removed(self) -> None:
        self._tell(lambda listener: listener.card_removed(self.name))

    def _tell(self, what: Callable[[ReaderListener], None]) -> None:
        if self._loop:
            self._loop.call_soon_threadsafe(self._deliver, what)

    def _deliver(self, what: Callable[[ReaderListener], None]) -> None:
        if self._listener:
            what(self._listener)


class InProcessReaders:
    """``cardd.ports.ReaderSource`` over readers of this process."""

    def __init__(self, readers: Iterable[InProcessReader]) -> None:
        self.readers = tuple(readers)

    async def start(self, listener: ReaderListener) -> None:
        """Report the readers and the cards in them."""
        listener.readers_available(True)
        for reader in self.readers:
            reader.open(listener)

    async def stop(self) -> None:
        """Release the readers."""
        for reader in self.readers:
            await reader.close()
