"""Readers without PC/SC: simulated cards in this process, behind the same contract (``cardd.ports``).

For machines without pcscd, and for tests, which can also have another program reset the card and the card pulled out
in the middle of a command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from cardd.driver import Card, Channel
from cardd.errors import ReaderGone
from cardd.ports import CardConnection, ReaderListener
from cardd_simulators.cards.connection import InProcessConnection
from cardd_simulators.cards.powered import PoweredCard
from cardd_simulators.cards.slot import Slot
from cardd_simulators.cards.worker import Worker

T = TypeVar("T")
READER = "Lecteur simulé 00 00"


class InProcessReader:
    """``cardd.ports.Reader`` over a slot of this process; ``opener`` opens cards in the listener's stead."""

    def __init__(
        self, name: str, card: PoweredCard | None = None, opener: Callable[[Channel], Card] | None = None
    ) -> None:
        self.name = name
        self._slot = Slot(name)
        self._slot.card = card
        self._connection = InProcessConnection(self._slot, opener or self._open)
        self._worker = Worker(name)
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
        self._slot.on_instruction(instruction, self.remove)

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
        self._worker.close()

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
